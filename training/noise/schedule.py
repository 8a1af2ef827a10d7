"""The interface of noise schedules, and the plain one: levels as their own law has them."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from torch import Tensor

from foundation.workers import World
from training.noise.config import NoiseConfig
from training.noise.levels import sigma_quantile


class NoiseSchedule(Protocol):
    """Draws a noise level for each image of a batch.

    What it draws depends on the uniform numbers, on the images seen and on its state alone; the
    state changes between steps only, and is the same on every worker.
    """

    def draw(self, uniform: np.ndarray, nimg: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Noise levels float64 [N] at uniform numbers [N] in (0, 1), and what their losses count.

        nimg: images seen at the beginning of the step. The weights are float64 [N]; None: each
        counts 1.
        """
        ...

    def observe(self, sigma: Tensor, loss: Tensor, log_variance: Tensor) -> None:
        """Take note of images of this worker [N]: plain EDM loss and learned uncertainty."""
        ...

    def update(self, world: World, nimg: int) -> None:
        """Learn from what all workers have taken note of since the last call.

        nimg: images of the step.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """What later draws depend on."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set what `state` returned."""
        ...


class Plain:
    """Every quantile of the law as often as any other; the base of schedules without state."""

    def __init__(self, config: NoiseConfig):
        self.config = config

    def draw(self, uniform: np.ndarray, nimg: int) -> tuple[np.ndarray, np.ndarray | None]:
        return sigma_quantile(self.config, uniform), None

    def observe(self, sigma: Tensor, loss: Tensor, log_variance: Tensor) -> None:
        pass

    def update(self, world: World, nimg: int) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        pass
