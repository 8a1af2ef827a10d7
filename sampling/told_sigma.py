"""Telling the network another noise level than the state has.

A network trained with input perturbation gamma answers D_IP(x; sigma) = D(x; sigma sqrt(1 +
gamma^2)) where D is exact (arXiv 2301.11706 with x0 as the target; the paper's is the noise). So a
plain network that is told a slightly higher level does what such a training is for, without it.
"""

from typing import cast

from torch import Tensor, nn

from sampling.guidance.base import LabelledDenoiser


class ToldSigma(nn.Module):
    """A denoiser that is told `factor` times the noise level at which it is asked."""

    def __init__(self, denoiser: LabelledDenoiser, factor: float):
        super().__init__()
        self.denoiser = cast(nn.Module, denoiser)
        self.factor = factor
        self.sigma_data: float = denoiser.sigma_data
        self.image_shape: tuple[int, ...] = denoiser.image_shape
        self.num_classes: int = denoiser.num_classes

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        return self.denoiser(x, sigma * self.factor, labels)
