"""What guidance by a predictor is compared with: latent editing, a classifier of clean images."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.attribute_predictor import BINS, bins, level
from sampling.guidance.base import Guided

DRAWS = 32
"""Noisy versions of each image in each range of noise levels."""


class ClassShift(Guided):
    """decode(h + w (mean of the class - mean of all)): latent editing by differences of means.

    The labels say to which class each image is moved.

    Args:
        means: [BINS, A, C, h, w], the mean bottleneck of each class in each range of noise levels.
        shares: of the classes among all images, [A].
    """

    def __init__(self, denoiser: Any, means: Tensor, shares: Tensor, weight: float) -> None:
        super().__init__(denoiser)
        self.num_classes = means.shape[1]
        overall = (means * shares.to(means)[None, :, None, None, None]).sum(1, keepdim=True)
        self.change = weight * (means - overall)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        assert labels is not None
        network: Any = self.denoiser
        hidden = network.encode(x, sigma, None)
        change = self.change[bins(sigma).cpu(), labels.cpu()].to(hidden.bottleneck)
        return network.decode(replace(hidden, bottleneck=hidden.bottleneck + change))


def class_means(denoiser: Any, images: Tensor, values: Tensor, count: int, seed: int = 0) -> Tensor:
    """Mean bottleneck of each class in each range of noise levels, [BINS, A, C, h, w].

    All images have the same DRAWS noises and levels of a range, which the differences between
    classes are free of: at sigma 80 one noise for each image would drown them.
    images: float [N, C, H, W] in data units; values: int64 [N] below `count`.
    """
    generator = torch.Generator().manual_seed(seed)
    out = []
    for number in range(BINS):
        means = []
        for draw in range(DRAWS):
            place = number + (draw + float(torch.rand(1, generator=generator))) / DRAWS
            sigmas = torch.full((len(images),), level(place))
            noise = torch.randn(images.shape[1:], generator=generator)
            with torch.no_grad():
                h = denoiser.encode(images + level(place) * noise, sigmas).bottleneck
            means.append(torch.stack([h[values == value].mean(0) for value in range(count)]))
        out.append(torch.stack(means).mean(0))
    return torch.stack(out)


class CleanAnswers:
    """An attribute as a classifier of clean images sees it in D(x; sigma): Jeffrey's rule at D(x).

    Args:
        classes: numbers of the attribute's values among the classifier's classes.
        shares: of the values among the training images.
    """

    def __init__(
        self,
        denoiser: Any,
        classifier: Any,
        names: Sequence[str],
        classes: Sequence[int],
        shares: Sequence[float],
    ):
        self.denoiser, self.classifier = denoiser, classifier
        self.names, self.classes = tuple(names), list(classes)
        self.prior = torch.tensor(shares)

    def log_probs(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(value | D(x; sigma)), [B, A], differentiable in x."""
        clean = self.denoiser(x, sigma, None).float()
        logits = self.classifier.classify(self.denoiser.codec.pictures(clean))
        return logits[:, self.classes].log_softmax(1)
