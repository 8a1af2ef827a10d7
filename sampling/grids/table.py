"""The table of all time grids, and `time_grid`, which makes one by name."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.explicit import Explicit
from sampling.grids.fitted import Fitted
from sampling.grids.levels import Grid, check_sigmas
from sampling.grids.optimized import Optimized
from sampling.options import build

if TYPE_CHECKING:
    from torch import Tensor

GRIDS: dict[str, type[Grid]] = {
    **CLOSED_FORM,
    "explicit": Explicit,
    "optimized": Optimized,
    "fitted": Fitted,
}


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
) -> "Tensor":
    """Noise levels float64 [num_steps + 1]: sigma_max, ..., sigma_min, 0, strictly decreasing.

    With one step they are sigma_max and 0. cache_dir: folder in which 'optimized' grids are kept.
    Raises ValueError for unknown names or options, fewer than one step, or ends that do not fit.
    """
    import torch

    levels = grid_levels(name, num_steps, sigma_min, sigma_max, cache_dir=cache_dir, **options)
    return torch.from_numpy(levels)


def grid_levels(
    name: str,
    num_steps: int,
    sigma_min: float,
    sigma_max: float,
    *,
    cache_dir: Path | None = None,
    **options: object,
) -> np.ndarray:
    """What `time_grid` gives, as an array: settings are checked without torch."""
    grid = make_grid(name, **options)
    if isinstance(num_steps, bool) or int(num_steps) != num_steps or num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}: a time grid needs a whole number, at least 1")
    apart = sigma_min < sigma_max or (num_steps == 1 and sigma_min == sigma_max)
    if not (sigma_min > 0 and apart and sigma_max < math.inf):
        raise ValueError(
            f"sigma_min {sigma_min} and sigma_max {sigma_max}: choose 0 < sigma_min < sigma_max"
        )
    extra = {"cache_dir": cache_dir} if isinstance(grid, Optimized) else {}
    levels = np.array(grid.levels(int(num_steps), sigma_min, sigma_max, **extra), dtype=np.float64)
    if not isinstance(grid, Explicit):
        # Remove the rounding of both ends. A single level is first and last: it becomes sigma_max.
        levels[-1], levels[0] = sigma_min, sigma_max
    sigmas = np.append(levels, 0.0)
    check_sigmas(sigmas)
    return sigmas
