"""Guidance by the gradient of a log-probability, such as that of a classifier."""

from typing import Any

import torch
from torch import Tensor, nn

from models.codecs import Codec
from sampling.guidance.base import Guided, LabelledDenoiser, LogProb


class Gradient(Guided):
    """D + w sigma^2 grad_x log_prob(x, sigma, labels): classifier guidance and its kin.

    With log_prob = log p(y | x, sigma) of a noise-aware classifier and an unconditional D this is
    Dhariwal and Nichol 2021 in x0 form; any score of the noisy image enters by the same door.
    Weight 0 does not call it. `conditional` passes labels to D as well as to log_prob.
    """

    def __init__(
        self,
        denoiser: LabelledDenoiser,
        log_prob: LogProb,
        weight: float,
        conditional: bool = False,
    ) -> None:
        super().__init__(denoiser)
        self.log_prob, self.weight, self.conditional = log_prob, weight, conditional

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        x0 = self.denoiser(x, sigma, labels if self.conditional else None)
        if self.weight == 0:
            return x0
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            total = self.log_prob(leaf, sigma, labels).sum()
            (slope,) = torch.autograd.grad(total, leaf)
        variance = sigma.to(x.dtype).view(-1, *[1] * (x.ndim - 1)) ** 2
        return x0 + self.weight * variance * slope


class ClassifierLogProb:
    """log p(label | D(x; sigma)): a classifier of clean images read at the denoised estimate.

    Differentiable in x through the denoiser (universal guidance, Bansal et al., arXiv 2302.07121,
    Eq. 7), so any classifier will do.
    """

    def __init__(self, denoiser: nn.Module, classifier: Any, codec: Codec):
        self.denoiser, self.classifier, self.codec = denoiser, classifier, codec

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None or (labels < 0).any():
            raise ValueError("guidance gradient needs a label for every image")
        clean = self.denoiser(x, sigma).float()
        logits = self.classifier.classify(self.codec.pictures(clean))
        return torch.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]
