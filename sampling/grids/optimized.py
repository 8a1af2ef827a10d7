"""The time grid that minimises a multistep solver's error bound."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from foundation.bounds import AtMost
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.error_bound import optimized_sigmas
from sampling.grids.levels import Grid


class Optimized(Grid):
    """The grid that minimises a multistep solver's truncation bound (see error_bound.py)."""

    order: Literal[1, 2, 3] = 3
    """Order of the multistep solver whose error is bounded."""
    power: Annotated[
        float, Field(ge=0), AtMost(100, "errors at low noise would not count any more")
    ] = 2.0
    """Power in the assumed error of an evaluation at sigma, (alpha sigma)^power / alpha."""
    truncation: Annotated[int, Field(ge=0), AtMost(10_000, "no grid has more steps")] = 3
    """Number of first steps whose errors cannot cancel those of other steps in the bound."""
    path: Literal["edm", "vp", "flow"] = "vp"
    """Sets alpha: 1 (edm), 1 / sqrt(1 + sigma^2) (vp) or 1 / (1 + sigma) (flow)."""
    starts: Annotated[int, Field(ge=0, le=64)] = 12
    """Random grids from which the search starts, besides each closed-form grid."""

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
