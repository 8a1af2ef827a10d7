"""The time grid whose noise levels are given."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from sampling.grids.levels import Grid, check_sigmas


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
