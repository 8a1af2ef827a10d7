"""Time grids that have a formula: karras, log_snr, vp_time, quadratic, arctan."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from foundation.bounds import NOISE_LEVEL, AtMost
from sampling.grids.levels import Grid


class Karras(Grid):
    """Uniform in sigma^(1/rho) (EDM, Eq. 5)."""

    rho: Annotated[float, Field(ge=0.1), AtMost(1000, "the grid is that of log_snr then")] = 7.0
    """A higher rho puts more steps at low sigma."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        return np.linspace(sigma_max ** (1 / self.rho), sigma_min ** (1 / self.rho), count) ** (
            self.rho
        )


class LogSNR(Grid):
    """Uniform in log sigma, the limit of karras for a large rho."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        return np.geomspace(sigma_max, sigma_min, count)


class VPTime(Grid):
    """Uniform in the time of a variance preserving path: the steps of DDPM and DDIM."""

    schedule: Literal["linear", "cosine"] = "linear"
    """The path's betas: linear (beta 0.1 to 20) or cosine."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        return _powers_of_time(1.0, self.schedule, count, sigma_min, sigma_max)


class Quadratic(Grid):
    """Quadratic in the time of a variance preserving path (DDIM, appendix D.2)."""

    schedule: Literal["linear", "cosine"] = "linear"
    """The path's betas: linear (beta 0.1 to 20) or cosine."""
    power: Annotated[
        float, Field(ge=0.01), AtMost(100, "all steps lie at the lowest level then")
    ] = 2.0
    """Uniform in t^(1/power)."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        return _powers_of_time(self.power, self.schedule, count, sigma_min, sigma_max)


class Arctan(Grid):
    """Uniform in the angle atan(sigma / c).

    The exact optimum for Euler's method (DDIM) on Gaussian data of standard deviation c: each step
    multiplies the images' standard deviation by the cosine of its difference of angles (up to
    factors that depend on the two ends alone). The differences have a fixed sum, and the product of
    their cosines, 1 for the exact solution, is largest when all are equal.
    """

    c: Annotated[float, Field(gt=0), NOISE_LEVEL] = 0.5
    """Standard deviation of the data (sigma_data)."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        ends = math.atan(sigma_max / self.c), math.atan(sigma_min / self.c)
        return self.c * np.tan(np.linspace(*ends, count))


CLOSED_FORM: dict[str, type[Grid]] = {
    "karras": Karras,
    "log_snr": LogSNR,
    "vp_time": VPTime,
    "quadratic": Quadratic,
    "arctan": Arctan,
}


def _powers_of_time(
    power: float, schedule: str, count: int, sigma_min: float, sigma_max: float
) -> np.ndarray:
    """Levels uniform in t^(1/power), where t is the time of the VP path with that schedule."""
    import torch

    from models.noise_paths import PATHS

    path = PATHS[f"vp_{schedule}"]()
    ends = path.time(torch.tensor([sigma_max, sigma_min], dtype=torch.float64)) ** (1 / power)
    times = torch.linspace(ends[0].item(), ends[1].item(), count, dtype=torch.float64) ** power
    return path.sigma(times).numpy()
