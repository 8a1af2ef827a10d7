"""Time grids: which noise levels a solver visits, all by name."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from models.noise_paths import PATHS
from sampling.optimized_grid import optimized_sigmas
from sampling.options import Options, build


class Grid(Options):
    """A rule that places noise levels; its fields are its options."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min, float64."""
        raise NotImplementedError


class Karras(Grid):
    """EDM, Eq. 5: uniform in sigma^(1/rho)."""

    rho: Annotated[float, Field(gt=0)] = 7.0
    """Higher puts more steps at low sigma."""

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
    power: Annotated[float, Field(gt=0)] = 2.0
    """Uniform in t^(1/power)."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        return _powers_of_time(self.power, self.schedule, count, sigma_min, sigma_max)


class Arctan(Grid):
    """Uniform in the angle atan(sigma / c).

    The exact optimum for Euler's method (DDIM) on Gaussian data of standard deviation c: a step
    multiplies the deviation by cos(difference of angles), up to factors of the two ends, and the
    product of cosines under a fixed sum is largest when all are equal.
    """

    c: Annotated[float, Field(gt=0)] = 0.5
    """Standard deviation of the data (sigma_data)."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        ends = math.atan(sigma_max / self.c), math.atan(sigma_min / self.c)
        return self.c * np.tan(np.linspace(*ends, count))


class Explicit(Grid):
    """The levels as given; a missing last 0 is added."""

    sigmas: Annotated[tuple[float, ...], Field(min_length=2)]
    """Strictly decreasing noise levels."""

    @field_validator("sigmas", mode="before")
    @classmethod
    def _decreasing(cls, sigmas: Sequence[float]) -> tuple[float, ...]:
        return tuple(check_sigmas(sigmas))

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """The given levels above 0; their number and ends must be those asked for."""
        levels = np.asarray([level for level in self.sigmas if level > 0])
        if len(levels) != count or levels[0] != sigma_max or levels[-1] != sigma_min:
            raise ValueError(
                f"grid 'explicit': {len(levels)} levels above 0 from {levels[0]} to {levels[-1]} "
                f"do not fit {count} steps from {sigma_max} to {sigma_min}"
            )
        return levels


class Optimized(Grid):
    """The grid that minimises a multistep solver's truncation bound (see optimized_grid.py)."""

    order: Literal[1, 2, 3] = 3
    """Order of the multistep solver whose error is bounded."""
    power: Annotated[float, Field(ge=0)] = 2.0
    """An evaluation at sigma is taken to err by (alpha sigma)^power / alpha."""
    truncation: Annotated[int, Field(ge=0)] = 3
    """First steps whose errors are added without cancelling each other."""
    path: Literal["edm", "vp", "flow"] = "vp"
    """What alpha is: 1 (edm), 1 / sqrt(1 + sigma^2) (vp), 1 / (1 + sigma) (flow)."""
    starts: Annotated[int, Field(ge=0, le=64)] = 12
    """Random starts of the search, besides one from each closed-form grid."""

    def levels(
        self, count: int, sigma_min: float, sigma_max: float, cache_dir: Path | None = None
    ) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min."""
        starts = [grid().levels(count, sigma_min, sigma_max) for grid in CLOSED_FORM.values()]
        return optimized_sigmas(
            starts,
            order=self.order,
            power=self.power,
            truncation=self.truncation,
            path=self.path,
            random_starts=self.starts,
            cache_dir=cache_dir,
        )


CLOSED_FORM: dict[str, type[Grid]] = {
    "karras": Karras,
    "log_snr": LogSNR,
    "vp_time": VPTime,
    "quadratic": Quadratic,
    "arctan": Arctan,
}

GRIDS: dict[str, type[Grid]] = {**CLOSED_FORM, "explicit": Explicit, "optimized": Optimized}


def make_grid(name: str, **options: object) -> Grid:
    """The named grid with its options set; ValueError on an unknown name, option or value."""
    return build("grid", name, GRIDS, options)


def time_grid(
    name: str,
    num_steps: int,
    sigma_min: float,
    sigma_max: float,
    *,
    cache_dir: Path | None = None,
    **options: object,
) -> Tensor:
    """num_steps + 1 noise levels, float64, strictly decreasing from sigma_max to sigma_min and 0.

    cache_dir keeps the results of the 'optimized' search between processes. Raises ValueError on
    unknown names or options, fewer than 2 steps, or bad ends.
    """
    grid = make_grid(name, **options)
    if isinstance(num_steps, bool) or int(num_steps) != num_steps or num_steps < 2:
        raise ValueError(f"num_steps is {num_steps}: a time grid needs a whole number, at least 2")
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(
            f"sigma_min {sigma_min} and sigma_max {sigma_max}: choose 0 < sigma_min < sigma_max"
        )
    extra = {"cache_dir": cache_dir} if isinstance(grid, Optimized) else {}
    levels = np.array(grid.levels(int(num_steps), sigma_min, sigma_max, **extra), dtype=np.float64)
    if not isinstance(grid, Explicit):
        levels[0], levels[-1] = sigma_max, sigma_min  # free of rounding
    check_sigmas(levels)
    return torch.from_numpy(np.append(levels, 0.0))


def check_sigmas(sigmas: Tensor | Sequence[float] | np.ndarray) -> list[float]:
    """The noise levels as floats; ValueError unless they fall strictly and end at or above 0."""
    levels = [float(level) for level in sigmas]
    if len(levels) < 2:
        raise ValueError(f"a grid of {len(levels)} noise level(s): pass at least two")
    for place, (before, after) in enumerate(itertools.pairwise(levels)):
        if not (math.isfinite(before) and after < before):
            raise ValueError(
                f"noise levels must fall strictly: entry {place} is {before}, "
                f"entry {place + 1} is {after}"
            )
    if levels[-1] < 0:
        raise ValueError(f"the last noise level is {levels[-1]}: end at 0 or above")
    return levels


def _powers_of_time(
    power: float, schedule: str, count: int, sigma_min: float, sigma_max: float
) -> np.ndarray:
    """Levels uniform in t^(1/power), t the time of the VP path with that schedule."""
    path = PATHS[f"vp_{schedule}"]()
    ends = path.time(torch.tensor([sigma_max, sigma_min], dtype=torch.float64)) ** (1 / power)
    times = torch.linspace(ends[0].item(), ends[1].item(), count, dtype=torch.float64) ** power
    return path.sigma(times).numpy()
