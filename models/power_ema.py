"""Power-function EMA and its reconstruction after training.

The averaging profile of a power-function EMA over training time t in (0, T] is
p(t) = (gamma + 1) t^gamma / T^(gamma + 1). Its length is named by the profile's relative standard
deviation sigma_rel. Snapshots of two tracked lengths are enough to approximate any other length
afterwards, as a least-squares combination of their profiles.

Source: Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models" (EDM2,
arXiv 2312.02696), section 3 and appendix C.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from models.config import MAX_SIGMA_REL


def sigma_rel_to_gamma(sigma_rel: float) -> float:
    """Exponent gamma of the profile whose relative standard deviation is sigma_rel.

    sigma_rel^2 = (g + 1) / ((g + 2)^2 (g + 3)), the largest real root (EDM2, Eq. 126 and Alg. 2).
    Raises ValueError outside (0, 12**-0.5).
    """
    if not 0 < sigma_rel < MAX_SIGMA_REL:
        raise ValueError(
            f"EMA length sigma_rel = {sigma_rel} is out of range: "
            f"choose a number above 0 and below {MAX_SIGMA_REL:.4f}"
        )
    t = float(sigma_rel) ** -2
    # (g + 2)^2 (g + 3) - t (g + 1) = g^3 + 7 g^2 + (16 - t) g + (12 - t)
    gamma = float(np.roots([1.0, 7.0, 16.0 - t, 12.0 - t]).real.max())
    for _ in range(2):  # two Newton steps polish the root to the last bits
        value = ((gamma + 7.0) * gamma + 16.0 - t) * gamma + 12.0 - t
        slope = (3.0 * gamma + 14.0) * gamma + 16.0 - t
        gamma -= value / slope
    return gamma


def power_ema_beta(sigma_rel: float, t: float, dt: float) -> float:
    """Decay of one update that ends at time t and spans dt (same unit, e.g. images).

    beta = (1 - dt / t)^(gamma + 1); it is 0 at the first update (EDM2, Eq. 127).
    """
    assert 0 < dt <= t, f"update of length {dt} ends at {t}"
    return (1.0 - dt / t) ** (sigma_rel_to_gamma(sigma_rel) + 1.0)


def _inner_products(t_a, gamma_a, t_b, gamma_b) -> np.ndarray:
    """<p_a, p_b> of every pair of profiles, float64 [len(a), len(b)] (EDM2, Alg. 3)."""
    t_a, gamma_a = np.asarray(t_a)[:, None], np.asarray(gamma_a)[:, None]
    t_b, gamma_b = np.asarray(t_b)[None, :], np.asarray(gamma_b)[None, :]
    exponent = np.where(t_a < t_b, gamma_b, -gamma_a)
    return (
        (gamma_a + 1.0)
        * (gamma_b + 1.0)
        * (t_a / t_b) ** exponent
        / ((gamma_a + gamma_b + 1.0) * np.maximum(t_a, t_b))
    )


def _solve_refined(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve A x = b in float64 with residuals in extended precision.

    The Gram matrix of many similar profiles is ill conditioned; unit scaling of its diagonal and a
    few refinement steps recover the digits that plain elimination loses.
    """
    from scipy.linalg import lu_factor, lu_solve

    scale = 1.0 / np.sqrt(np.diag(matrix))
    scaled = matrix * scale[:, None] * scale[None, :]
    factors = lu_factor(scaled)
    exact, target = scaled.astype(np.longdouble), (right * scale).astype(np.longdouble)
    x = lu_solve(factors, target.astype(np.float64)).astype(np.longdouble)
    for _ in range(5):
        residual = target - exact @ x
        x = x + lu_solve(factors, residual.astype(np.float64))
    return (x * scale).astype(np.float64)


def posthoc_coefficients(
    times: Sequence[float], sigma_rels: Sequence[float], out_time: float, out_sigma_rel: float
) -> np.ndarray:
    """Weights of the snapshots that best reproduce one EMA profile (EDM2, Alg. 3).

    Least squares in L2 over the profiles, float64, divided by their sum. Returned in
    (time, sigma_rel) order: float64 [len(times) * len(sigma_rels)], sum 1.
    """
    coefficients, _ = _fit(times, sigma_rels, out_time, out_sigma_rel)
    return coefficients


def posthoc_profile_error(
    times: Sequence[float], sigma_rels: Sequence[float], out_time: float, out_sigma_rel: float
) -> float:
    """|reconstructed profile - wanted profile| / |wanted profile| in L2."""
    coefficients, (gram, cross, own) = _fit(times, sigma_rels, out_time, out_sigma_rel)
    squared = own - 2 * coefficients @ cross + coefficients @ gram @ coefficients
    return float(np.sqrt(max(squared, 0.0) / own))


def _fit(times, sigma_rels, out_time, out_sigma_rel):
    times = [float(time) for time in times]
    if len(set(times)) != len(times) or len(set(sigma_rels)) != len(sigma_rels):
        raise ValueError("snapshot times and tracked EMA lengths must each be distinct")
    if min(times) <= 0 or out_time <= 0:
        raise ValueError("snapshot times must be positive")
    gammas = [sigma_rel_to_gamma(s) for s in sigma_rels]
    grid_times = np.repeat(np.asarray(times, np.float64), len(gammas))
    grid_gammas = np.tile(np.asarray(gammas, np.float64), len(times))
    out_gamma = [sigma_rel_to_gamma(out_sigma_rel)]
    gram = _inner_products(grid_times, grid_gammas, grid_times, grid_gammas)
    cross = _inner_products(grid_times, grid_gammas, [float(out_time)], out_gamma)[:, 0]
    own = _inner_products([float(out_time)], out_gamma, [float(out_time)], out_gamma)[0, 0]
    solution = _solve_refined(gram, cross)
    return solution / solution.sum(), (gram, cross, own)


class PowerEMA:
    """Power-function averages of a network's parameters, in fp32, one per sigma_rel.

    `update(nimg, dt)` is called after an optimiser step that ended at `nimg` images and covers `dt`
    images. Buffers are constants of the network and are not averaged.
    """

    def __init__(self, named_parameters: Iterable[tuple[str, torch.Tensor]], sigma_rels):
        self.names, params = zip(*((n, p) for n, p in named_parameters), strict=True)
        self.params = list(params)
        self.averages = {
            float(s): [p.detach().to(torch.float32, copy=True) for p in params] for s in sigma_rels
        }

    @torch.no_grad()
    def update(self, nimg: float, dt: float) -> None:
        """Move every average towards the parameters as they are now."""
        sources = [p.detach().float() for p in self.params]
        for sigma_rel, average in self.averages.items():
            weight = 1.0 - power_ema_beta(sigma_rel, nimg, dt)
            torch._foreach_lerp_(average, sources, weight)

    def state(self, sigma_rel: float) -> dict[str, torch.Tensor]:
        """Parameter name -> fp32 average of that length."""
        return dict(zip(self.names, self.averages[sigma_rel], strict=True))

    @torch.no_grad()
    def load_state(self, sigma_rel: float, state: dict[str, torch.Tensor]) -> None:
        """Copy what `state` returned into the average of that length."""
        for name, average in zip(self.names, self.averages[sigma_rel], strict=True):
            average.copy_(state[name])
