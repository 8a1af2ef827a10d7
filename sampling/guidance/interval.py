"""Guidance limited to an interval of noise levels."""

import torch
from torch import Tensor

from sampling.guidance.base import Guided


class Interval(Guided):
    """Guidance only where sigma_lo < sigma <= sigma_hi (Kynkaanniemi et al. 2024).

    Elsewhere the denoiser inside `guided` is called as it is, without the guidance's cost.
    """

    def __init__(
        self, guided: Guided, sigma_lo: float = 0.0, sigma_hi: float = float("inf")
    ) -> None:
        if not isinstance(guided, Guided):
            raise ValueError("interval limits a guidance: wrap a guided denoiser, not a plain one")
        if not 0 <= sigma_lo < sigma_hi:
            raise ValueError(f"interval ({sigma_lo}, {sigma_hi}]: choose 0 <= sigma_lo < sigma_hi")
        super().__init__(guided.denoiser)
        self.guided, self.sigma_lo, self.sigma_hi = guided, sigma_lo, sigma_hi

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        inside = (sigma > self.sigma_lo) & (sigma <= self.sigma_hi)
        if inside.all():
            return self.guided(x, sigma, labels)
        plain = self.denoiser(x, sigma, labels)
        if not inside.any():
            return plain
        choice = inside.view(-1, *[1] * (x.ndim - 1))
        return torch.where(choice, self.guided(x, sigma, labels), plain)
