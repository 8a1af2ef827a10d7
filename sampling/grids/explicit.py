"""The time grid whose noise levels params.yaml lists."""

from collections.abc import Sequence

import numpy as np
from pydantic import field_validator

from sampling.grids.levels import Grid, check_sigmas


class Explicit(Grid):
    """The given noise levels; a missing last 0 is added."""

    sigmas: tuple[float, ...]
    """Strictly decreasing noise levels."""

    @field_validator("sigmas", mode="before")
    @classmethod
    def _decreasing(cls, sigmas: Sequence[float]) -> tuple[float, ...]:
        levels = [float(level) for level in sigmas]
        if not any(level > 0 for level in levels):
            raise ValueError("give at least one level above 0")
        return tuple(check_sigmas([*levels, 0.0] if levels[-1] > 0 else levels))

    @property
    def visited(self) -> tuple[float, ...]:
        """The levels above 0, at which a denoiser is called."""
        return self.sigmas[:-1]

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """The given levels above 0. Raises ValueError if their number or ends differ.

        A single level must equal sigma_max; sigma_min is then ignored.
        """
        levels = self.visited
        fits = len(levels) == count and levels[0] == sigma_max
        if not fits or (count > 1 and levels[-1] != sigma_min):
            raise ValueError(
                f"grid 'explicit': {len(levels)} levels above 0 from {levels[0]} to {levels[-1]} "
                f"do not fit {count} steps from {sigma_max} to {sigma_min}"
            )
        return np.asarray(levels)
