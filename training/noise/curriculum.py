"""From easy to hard: high noise first, lower and lower levels as training goes on.

"Denoising Task Difficulty-based Curriculum for Training Diffusion Models" (arXiv 2403.10348) adds
clusters of ever less noise one after another; here the lower end moves down evenly.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from foundation.workers import World
from training.noise.schedule import NoiseSchedule

BEGINS_WITH = 0.2
"""Share of the levels, those of most noise, at the start."""


class Curriculum:
    """Draws the highest quantiles of another schedule alone, all of them from `kimg` on."""

    def __init__(self, inner: NoiseSchedule, kimg: float):
        self.inner, self.kimg = inner, kimg

    def lowest(self, nimg: int) -> float:
        """The lowest quantile that is drawn after `nimg` images."""
        return (1 - BEGINS_WITH) * max(0.0, 1 - nimg / (1000 * self.kimg))

    def draw(self, uniform: np.ndarray, nimg: int) -> tuple[np.ndarray, np.ndarray | None]:
        lowest = self.lowest(nimg)
        return self.inner.draw(lowest + (1 - lowest) * np.asarray(uniform, np.float64), nimg)

    def observe(self, sigma: Tensor, loss: Tensor, log_variance: Tensor) -> None:
        self.inner.observe(sigma, loss, log_variance)

    def update(self, world: World, nimg: int) -> None:
        self.inner.update(world, nimg)

    def state(self) -> dict[str, Tensor]:
        return self.inner.state()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.inner.restore(tensors)
