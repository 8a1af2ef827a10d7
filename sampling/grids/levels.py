"""The base class of all time grids, and the check that noise levels are usable."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sampling.options import Options

if TYPE_CHECKING:
    from torch import Tensor


class Grid(Options):
    """A rule that computes noise levels; the fields of the class are its options."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min, float64."""
        raise NotImplementedError


def check_sigmas(sigmas: "Tensor | Sequence[float] | np.ndarray") -> list[float]:
    """The noise levels as floats; ValueError unless they fall strictly and end at or above 0."""
    levels = [float(level) for level in sigmas]
    if len(levels) < 2:
        raise ValueError(f"a grid of {len(levels)} noise level(s): pass at least two")
    for index, (before, after) in enumerate(itertools.pairwise(levels)):
        if not (math.isfinite(before) and after < before):
            raise ValueError(
                f"noise levels must fall strictly: entry {index} is {before}, "
                f"entry {index + 1} is {after}"
            )
    if levels[-1] < 0:
        raise ValueError(f"the last noise level is {levels[-1]}: end at 0 or above")
    return levels
