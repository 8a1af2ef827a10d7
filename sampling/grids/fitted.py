"""The time grid whose few steps come nearest to many steps of the same denoiser."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from foundation.bounds import AtMost
from sampling.grids.levels import Grid


class Fitted(Grid):
    """The grid of least squared distance from fine steps (see fit.py), on a denoiser's own images.

    Its levels are found by `fit`, for a sampler with its guidance; `levels` knows one or two steps
    alone, whose levels are sigma_max and sigma_min.
    """

    images: Annotated[int, Field(ge=1), AtMost(4096, "the levels do not change any more")] = 32
    """Images on which it is fitted, of a seed of their own, with all labels or captions in turn."""
    distance: Literal["images", "path"] = "images"
    """What is compared: the images, or the states at all levels, in parts of their spread."""
    fine_steps: Annotated[int, Field(ge=8), AtMost(10_000, "no fine grid needs more")] = 64
    """Steps of Heun's method on grid karras from which the distance is measured."""
    iterations: Annotated[int, Field(ge=0), AtMost(1000, "the search has ended long before")] = 8
    """Steps of the search from the best of all other grids; 0: that grid itself."""

    def levels(self, count: int, sigma_min: float, sigma_max: float) -> np.ndarray:
        """sigma_max and sigma_min; ValueError for more levels, which depend on the denoiser."""
        if count > 2:
            raise ValueError(
                "grid 'fitted' finds its levels for trained weights: draw with it by "
                "python -m pipelines.sample or evaluate, or give levels as grid explicit"
            )
        return np.array([sigma_max, sigma_min][:count])

    def fit(
        self,
        ways: Any,
        count: int,
        sigma_min: float,
        sigma_max: float,
        facts: Any = None,
        cache_dir: Path | None = None,
    ) -> np.ndarray:
        """`count` levels from sigma_max down to sigma_min, float64.

        ways: `fit.Ways` of the sampler. facts: JSON-able, all of weights and settings that decides
        the levels, under which they are kept (see `kept_levels`); None: they are not kept.
        """
        if count <= 2:
            return self.levels(count, sigma_min, sigma_max)
        from sampling.grids.fit import VERSION, fitted_sigmas
        from sampling.grids.kept import kept_levels

        def search() -> np.ndarray:
            return fitted_sigmas(
                ways,
                count,
                sigma_min,
                sigma_max,
                distance=self.distance,
                fine_steps=self.fine_steps,
                iterations=self.iterations,
                cache_dir=cache_dir,
            )

        if facts is None:
            return search()
        own = [VERSION, count, sigma_min, sigma_max, self.model_dump()]
        return kept_levels([own, facts], count, search, cache_dir)
