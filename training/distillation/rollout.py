"""A student's own images, drawn as its sampler draws them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.objectives import Denoise

Fresh = Callable[[int], Tensor]
"""fresh(step) -> unit normal noise [B, C, H, W] that is added before evaluation `step`."""


def rollout(
    student: Denoise, levels: Sequence[float], stop: int, fresh: Fresh, labels: Tensor | None
) -> Tensor:
    """The student's image [B, C, H, W] after evaluations 0 to `stop`; the last has a gradient.

    Evaluation i denoises (image before + levels[i] * fresh(i)) at levels[i], where the first
    begins with noise alone: multistep consistency sampling (Song et al. 2023, Alg. 1), and the
    backward simulation of DMD2 (arXiv 2405.14867, section 4.4), so that in training the student
    sees inputs of its own.
    """
    with torch.no_grad():
        image: Tensor | None = None
        for step in range(stop):
            image = _evaluate(student, image, levels[step], fresh(step), labels)
    return _evaluate(student, image, levels[stop], fresh(stop), labels)


def _evaluate(
    student: Denoise, image: Tensor | None, level: float, noise: Tensor, labels: Tensor | None
) -> Tensor:
    noisy = level * noise if image is None else image + level * noise
    return student(noisy, noisy.new_full((len(noisy),), level), labels)
