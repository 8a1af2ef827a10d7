"""Affine paths z_t = alpha(t) x0 + s(t) noise and their map to EDM's sigma = s / alpha.

A network trained on such a path is a denoiser after rescaling: x = z / alpha has noise level
sigma. So DDPM, DDIM and flow models use the same grids and solvers through `PathDenoiser`, and
training can draw sigma from any path's t. All maps are float64 and work on tensors of any shape.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor, nn

from foundation.did_you_mean import check_name

Time = TypeVar("Time", float, Tensor)
Prediction = Literal["x0", "epsilon", "v"]


@dataclass(frozen=True)
class LinearVP:
    """Variance preserving with beta rising linearly in t (Song et al. 2021, VP SDE); t in [0, 1].

    DDPM's linear betas, 1e-4 to 0.02 over 1000 steps, are this path in steps of 1/1000.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise ValueError(
                f"beta_min {self.beta_min} and beta_max {self.beta_max}: "
                "choose 0 < beta_min <= beta_max"
            )

    def sigma(self, t: Tensor) -> Tensor:
        """EDM's sigma at time t."""
        t = _float64(t)
        # EDM, Table 1: sigma(t) = sqrt(exp(beta_d t^2 / 2 + beta_min t) - 1).
        return torch.expm1((self.beta_max - self.beta_min) * t**2 / 2 + self.beta_min * t).sqrt()

    def time(self, sigma: Tensor) -> Tensor:
        """Time t at EDM's sigma."""
        exponent = torch.log1p(_float64(sigma) ** 2)
        rise = self.beta_max - self.beta_min
        # Root of rise t^2 / 2 + beta_min t = exponent, in the form that stays exact near 0.
        return 2 * exponent / (self.beta_min + (self.beta_min**2 + 2 * rise * exponent).sqrt())

    def scale(self, sigma: Tensor) -> Tensor:
        """alpha at EDM's sigma, where alpha^2 + s^2 = 1."""
        return (1 + _float64(sigma) ** 2).rsqrt()


@dataclass(frozen=True)
class CosineVP:
    """Variance preserving with a cosine schedule (Nichol and Dhariwal 2021, Eq. 17); t in [0, 1).

    sigma(t) = tan of the angle, shifted so that sigma(0) = 0.
    """

    offset: float = 0.008

    def __post_init__(self) -> None:
        if not 0 <= self.offset < 1:
            raise ValueError(f"offset {self.offset}: choose 0 <= offset < 1 (DDPM uses 0.008)")

    def sigma(self, t: Tensor) -> Tensor:
        """EDM's sigma at time t; huge, then infinite, as t approaches 1."""
        cosine = torch.cos(self._angle(_float64(t))) / math.cos(self._angle(0.0))
        return ((1 - cosine) * (1 + cosine)).clamp(min=0).sqrt() / cosine

    def time(self, sigma: Tensor) -> Tensor:
        """Time t at EDM's sigma."""
        cosine = math.cos(self._angle(0.0)) * (1 + _float64(sigma) ** 2).rsqrt()
        return torch.acos(cosine) * (2 / math.pi) * (1 + self.offset) - self.offset

    def scale(self, sigma: Tensor) -> Tensor:
        """alpha at EDM's sigma, where alpha^2 + s^2 = 1."""
        return (1 + _float64(sigma) ** 2).rsqrt()

    def _angle(self, t: Time) -> Time:
        return (t + self.offset) / (1 + self.offset) * (math.pi / 2)


@dataclass(frozen=True)
class RectifiedFlow:
    """Straight lines from data to noise: z_t = (1 - t) x0 + t noise (Liu et al. 2023); t in [0, 1).

    sigma = t / (1 - t).
    """

    def sigma(self, t: Tensor) -> Tensor:
        """EDM's sigma at time t."""
        t = _float64(t)
        return t / (1 - t)

    def time(self, sigma: Tensor) -> Tensor:
        """Time t at EDM's sigma."""
        sigma = _float64(sigma)
        return sigma / (1 + sigma)

    def scale(self, sigma: Tensor) -> Tensor:
        """alpha = 1 - t at EDM's sigma."""
        return 1 / (1 + _float64(sigma))


Path = LinearVP | CosineVP | RectifiedFlow

PATHS: dict[str, type[Path]] = {
    "vp_linear": LinearVP,
    "vp_cosine": CosineVP,
    "flow": RectifiedFlow,
}


def sigma_of_time(
    schedule: str, uniform: np.ndarray, sigma_min: float = 0.002, sigma_max: float = 160.0
) -> np.ndarray:
    """Noise levels for training as that schedule draws them: t uniform, sigma = sigma(t).

    uniform in [0, 1] is mapped linearly to the interval of t whose sigma lies in
    [sigma_min, sigma_max] (flow and cosine paths would otherwise reach infinity); returns float64
    of the same shape. Raises ValueError for an unknown schedule.
    """
    check_name("schedule", schedule, PATHS)
    path = PATHS[schedule]()
    low, high = path.time(torch.tensor([sigma_min, sigma_max], dtype=torch.float64)).tolist()
    times = torch.from_numpy(low + np.asarray(uniform, np.float64) * (high - low))
    return path.sigma(times).clamp(sigma_min, sigma_max).numpy()


def ddpm_betas(schedule: Literal["linear", "cosine"] = "linear", steps: int = 1000) -> Tensor:
    """The discrete betas of DDPM (linear: 1e-4 to 0.02 at 1000 steps) or its cosine form."""
    check_name("schedule", schedule, ("linear", "cosine"))
    if schedule == "linear":
        scale = 1000 / steps
        return torch.linspace(scale * 1e-4, scale * 0.02, steps, dtype=torch.float64)
    kept = CosineVP().scale(CosineVP().sigma(torch.arange(steps + 1) / steps)) ** 2
    return (1 - kept[1:] / kept[:-1]).clamp(max=0.999)


class DiscreteVP:
    """A DDPM-style table of betas; t counts its entries and may be fractional (0 is least noise).

    log sigma is interpolated linearly between entries; outside the table it is clamped.
    """

    def __init__(self, betas: Tensor) -> None:
        betas = _float64(betas)
        if betas.ndim != 1 or len(betas) < 2 or not bool(((betas > 0) & (betas < 1)).all()):
            raise ValueError("betas: pass at least two numbers, each above 0 and below 1")
        log_kept = torch.log1p(-betas).cumsum(0)
        self.log_sigmas = torch.log(torch.expm1(-log_kept)) / 2

    def sigma(self, t: Tensor) -> Tensor:
        """EDM's sigma at table position t."""
        t = _float64(t).clamp(0, len(self.log_sigmas) - 1)
        low = t.floor().long().clamp(max=len(self.log_sigmas) - 2)
        share = t - low
        return torch.exp((1 - share) * self.log_sigmas[low] + share * self.log_sigmas[low + 1])

    def time(self, sigma: Tensor) -> Tensor:
        """Table position at EDM's sigma."""
        log_sigma = _float64(sigma).log().clamp(self.log_sigmas[0], self.log_sigmas[-1])
        low = torch.searchsorted(self.log_sigmas, log_sigma.contiguous(), right=True) - 1
        low = low.clamp(0, len(self.log_sigmas) - 2)
        step = self.log_sigmas[low + 1] - self.log_sigmas[low]
        return low + (log_sigma - self.log_sigmas[low]) / step

    def scale(self, sigma: Tensor) -> Tensor:
        """alpha at EDM's sigma, where alpha^2 + s^2 = 1."""
        return (1 + _float64(sigma) ** 2).rsqrt()


class PathDenoiser(nn.Module):
    """A network of another parametrisation as D(x; sigma, labels).

    network(z [B, C, H, W], t [B], labels) predicts on z = alpha x at time t:
    x0 itself; epsilon, the noise (DDPM); or v: noise - x0 on the flow path (its dz/dt), and
    alpha noise - s x0 on VP paths (Salimans and Ho 2022).
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor, Tensor | None], Tensor],
        path: Path | DiscreteVP,
        prediction: Prediction,
        image_shape: tuple[int, int, int],
        num_classes: int = 0,
        sigma_data: float = 0.5,
    ) -> None:
        super().__init__()
        check_name("prediction", prediction, get_args(Prediction))
        self.network, self.path, self.prediction = network, path, prediction
        self.image_shape, self.num_classes = tuple(image_shape), num_classes
        self.sigma_data = sigma_data

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W] from x [B, C, H, W] at noise levels sigma [B]."""
        per_image = (-1, *[1] * (x.ndim - 1))
        alpha = self.path.scale(sigma).to(x.dtype).view(per_image)
        time = self.path.time(sigma).to(x.dtype)
        output = self.network(alpha * x, time, labels)
        if self.prediction == "x0":
            return output
        level = sigma.to(x.dtype).view(per_image)
        if self.prediction == "epsilon":
            return x - level * output
        if isinstance(self.path, RectifiedFlow):
            # x0 = z - t v, and t = alpha sigma on this path.
            return alpha * (x - level * output)
        # x0 = alpha z - s v, and s = alpha sigma.
        return alpha * (alpha * x - level * output)


def epsilon_model(
    denoiser: nn.Module, path: Path | DiscreteVP
) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """The inverse of PathDenoiser: a denoiser as network(z, t, labels), predicting the noise."""

    def predict(z: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        sigma = path.sigma(t)
        per_image = (-1, *[1] * (z.ndim - 1))
        x = z / path.scale(sigma).to(z.dtype).view(per_image)
        x0 = denoiser(x, sigma.to(z.dtype), labels)
        return (x - x0) / sigma.to(z.dtype).view(per_image)

    return predict


def _float64(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value).to(torch.float64)
