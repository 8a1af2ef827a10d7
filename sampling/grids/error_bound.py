"""The time grid that minimises a multistep solver's error bound, found without any model.

Source: Xue et al., Accelerating Diffusion Sampling with Optimized Time Steps, CVPR 2024 (arXiv
2402.17376). With lambda = -log sigma, x / sigma changes over a step by the integral of
e^lambda x0(lambda). A solver of order k repoints x0(lambda) by the Lagrange polynomial through its
last k evaluations, so its result is a weighted sum of all evaluations. If the evaluation at sigma
has an error of at most (alpha sigma)^power / alpha, the sum has an error of at most
F = sum_n |weight_n| error_n. The search minimises F.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sampling.grids.kept import kept_levels

VERSION = 1  # part of the key under which grids are kept: raise it when the search changes
ITERATIONS = 200  # of the search from each start
REFINED = 2  # so many of the best results are searched from once more
SMALLEST_GAP = 0.02  # between neighbouring levels, as a share of the uniform gap in lambda

# Gauss-Legendre on [0, 1], exact to rounding for steps of up to 10 in lambda.
_NODES, _SHARES = np.polynomial.legendre.leggauss(16)
_NODES, _SHARES = (_NODES + 1) / 2, _SHARES / 2


def truncation_bound(
    sigmas: np.ndarray, order: int = 3, power: float = 2.0, truncation: int = 3, path: str = "vp"
) -> float:
    """F of a grid: bound on the error of x at the last level above 0, in data units.

    order: the multistep solver's, 1 to 3; it rises over the first steps and falls to 2 at the last
    (as in 'unipc' when a step to 0 follows). truncation: number of first steps whose errors are
    added in absolute value step by step, so that errors of different steps cannot cancel. power,
    path: of the assumed error of one evaluation, see the top of this file.
    """
    levels = np.asarray(sigmas, dtype=np.float64)
    return float(_bound(-np.log(levels[levels > 0])[None], order, power, truncation, path)[0])


def optimized_sigmas(
    starts: Sequence[np.ndarray],
    *,
    order: int,
    power: float,
    truncation: int,
    path: str,
    random_starts: int,
    cache_dir: Path | None = None,
) -> np.ndarray:
    """The levels above 0 of lowest F that the search finds, float64 [n].

    starts: grids of n levels with the same ends, which the result shares; it is never worse than
    any of them. F has many local minima, so the search runs from every start and from
    `random_starts` random grids, drawn with a fixed seed. For cache_dir see `kept_levels`.
    """
    setting = (order, power, truncation, path)
    inputs = [VERSION, ITERATIONS, REFINED, SMALLEST_GAP, setting, random_starts]
    return kept_levels(
        [inputs, [list(map(float, start)) for start in starts]],
        len(starts[0]),
        lambda: _search(starts, setting, random_starts),
        cache_dir,
    )


def _search(
    starts: Sequence[np.ndarray], setting: tuple[int, float, int, str], random_starts: int
) -> np.ndarray:
    from scipy.optimize import BFGS, LinearConstraint, minimize

    lambdas = [-np.log(np.asarray(start, dtype=np.float64)) for start in starts]
    first, last, free = lambdas[0][0], lambdas[0][-1], len(lambdas[0]) - 2
    if free < 1:
        return np.asarray(starts[0], dtype=np.float64)
    generator = np.random.default_rng(0)
    for gaps in generator.dirichlet(np.full(free + 1, 4.0), random_starts):
        lambdas.append(np.concatenate([[first], first + (last - first) * gaps.cumsum()]))

    smallest = SMALLEST_GAP * (last - first) / (free + 1)
    # Row i is the gap between levels i and i + 1; the fixed ends enter through the bounds.
    differences = np.eye(free + 1, free) - np.eye(free + 1, free, k=-1)
    low = np.full(free + 1, smallest)
    low[0] += first
    low[-1] -= last
    monotone = LinearConstraint(differences, low, np.inf)

    def bound_and_slope(inner: np.ndarray) -> tuple[float, np.ndarray]:
        # Complex-step differentiation: one batched evaluation gives the gradient exact to rounding.
        batch = np.tile(np.concatenate([[first], inner, [last]]).astype(complex), (free, 1))
        batch[np.arange(free), np.arange(1, free + 1)] += 1e-30j
        values = _bound(batch, *setting)
        return values[0].real, values.imag / 1e-30

    def value(lam: np.ndarray) -> float:
        valid = np.isfinite(lam).all() and (np.diff(lam) > 0).all()
        return float(_bound(lam[None], *setting)[0]) if valid else np.inf

    def descend(start: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            # BFGS warns of steps that do not change the gradient.
            warnings.simplefilter("ignore", UserWarning)
            result = minimize(
                bound_and_slope,
                start[1:-1],
                method="trust-constr",
                jac=True,
                hess=BFGS(),
                constraints=[monotone],
                options={"maxiter": ITERATIONS},
            )
        return np.concatenate([[first], result.x, [last]])

    explored = sorted((descend(start) for start in lambdas), key=value)
    refined = [descend(start) for start in explored[:REFINED]]
    best = np.exp(-min([*lambdas, *explored, *refined], key=value))
    best[0], best[-1] = starts[0][0], starts[0][-1]
    return best


def _bound(lambdas: np.ndarray, order: int, power: float, truncation: int, path: str) -> np.ndarray:
    """F of each row of lambdas [B, N], real or complex -> [B]."""
    batch, count = lambdas.shape
    sigma = np.exp(-lambdas)
    alpha = {
        "edm": np.ones_like(sigma),
        "vp": (1 + sigma**2) ** -0.5,
        "flow": 1 / (1 + sigma),
    }[path]
    error = (alpha * sigma) ** power / alpha  # [B, N]
    total = np.zeros_like(lambdas)  # [B, N], weight of each evaluation in the result
    bound = np.zeros(batch, dtype=lambdas.dtype)
    for steps, nodes in _stencils(count, order):
        weights = _lagrange_weights(lambdas, steps, nodes)  # [B, S, k]
        early = steps < truncation
        bound = bound + _absolute(weights * error[:, nodes])[:, early].sum((1, 2))
        for j in range(nodes.shape[1]):  # within column j no evaluation occurs twice
            total[:, nodes[~early, j]] += weights[:, ~early, j]
    return sigma[:, -1] * (bound + _absolute(total * error).sum(1))


def _stencils(count: int, order: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each order: the steps of that order [S], and the evaluations each uses [S, order]."""
    steps = np.arange(count - 1)
    orders = np.minimum(np.minimum(order, steps + 1), count - steps)
    groups = []
    for k in range(1, order + 1):
        chosen = steps[orders == k]
        if len(chosen):
            groups.append((chosen, chosen[:, None] - np.arange(k)))
    return groups


def _lagrange_weights(lambdas: np.ndarray, steps: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Integral of e^lambda l_j(lambda) over each step for each Lagrange basis l_j: [B, S, k]."""
    width = lambdas[:, steps + 1] - lambdas[:, steps]  # [B, S]
    points = lambdas[:, steps, None] + width[..., None] * _NODES  # [B, S, Q]
    density = width[..., None] * _SHARES * np.exp(points)  # [B, S, Q]
    known = lambdas[:, nodes]  # [B, S, k]
    weights = []
    for j in range(nodes.shape[1]):
        basis = np.ones_like(points)
        for m in range(nodes.shape[1]):
            if m != j:
                basis = basis * (
                    (points - known[..., m, None]) / (known[..., j] - known[..., m])[..., None]
                )
        weights.append((density * basis).sum(-1))
    return np.stack(weights, axis=-1)


def _absolute(value: np.ndarray) -> np.ndarray:
    """Absolute value by the sign of the real part, which complex-step differentiation needs."""
    return np.where(value.real < 0, -value, value)
