"""A small convolutional autoencoder whose latents are normal: the kind kl.

The encoder gives each latent number a mean and a standard deviation, and is trained with a small
weight on the divergence from a unit normal (Kingma and Welling, arXiv 1312.6114; Rombach et al.,
arXiv 2112.10752, section 3.1). Every level halves the picture and has one residual block.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.autoencoders.base import Autoencoder, Moments

GROUPS = 8
"""Of each normalisation; widths are multiples of it."""
WIDEST = 4
"""Most channels of a level, as a multiple of the width."""
START_LOG_VARIANCE = -6.0
"""ln(std^2) at the start of training: noise of 0.05, beside means of about 0.5."""
LOG_VARIANCE = (-30.0, 20.0)
"""Range of ln(std^2)."""


class KLAutoencoder(Autoencoder):
    """Pictures [B, C, H, W] <-> normal latents [B, c, H/factor, W/factor]."""

    kind = "kl"
    in_bands = True

    def __init__(self, channels: int, latent_channels: int, factor: int, width: int):
        """factor: a power of 2; width: channels at full resolution, a multiple of 8."""
        super().__init__(channels, latent_channels, factor)
        self.width = width
        if factor & (factor - 1) or not isinstance(width, int) or width % GROUPS:
            raise ValueError(f"factor {factor}, width {width}: no power of 2, or no multiple of 8")
        widths = [width * min(2**level, WIDEST) for level in range(factor.bit_length())]
        self.encoder = _encoder(channels, widths, 2 * latent_channels)
        self.decoder = _decoder(latent_channels, widths, channels)

    def architecture(self) -> dict[str, Any]:
        """The width."""
        return {"width": self.width}

    def encode(self, images: Tensor) -> Moments:
        mean, log_variance = self.encoder(images.to(self._dtype)).chunk(2, dim=1)
        return Moments(mean, (log_variance.float().clamp(*LOG_VARIANCE) / 2).exp().to(mean))

    def decode(self, latents: Tensor) -> Tensor:
        return self.unclamped(latents).clamp(-1, 1)

    def unclamped(self, latents: Tensor) -> Tensor:
        """What the decoder gives, before values beyond black and white are clamped."""
        return self.decoder(latents.to(self._dtype))

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), shapes [B, C, H, W]; at first it gives x."""

    def __init__(self, width: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for _ in range(2))
        first, last = _conv(width, width), _conv(width, width)
        nn.init.zeros_(last.weight)
        self.convs = nn.ModuleList([first, last])

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(F.silu(norm(h)))
        return x + h


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def _encoder(channels: int, widths: list[int], outputs: int) -> nn.Sequential:
    """widths: of each level, full resolution first; the first level has no block of its own."""
    layers: list[nn.Module] = [_conv(channels, widths[0])]
    for above, below in pairwise(widths):
        layers += [_conv(above, below, stride=2), ResidualBlock(below)]
    last = _conv(widths[-1], outputs)
    assert last.bias is not None
    nn.init.zeros_(last.weight[outputs // 2 :])  # of the rows that give ln(std^2)
    nn.init.constant_(last.bias[outputs // 2 :], START_LOG_VARIANCE)
    return nn.Sequential(*layers, nn.GroupNorm(GROUPS, widths[-1]), nn.SiLU(), last)


def _decoder(inputs: int, widths: list[int], channels: int) -> nn.Sequential:
    """The encoder backwards, with a block at full resolution too."""
    layers: list[nn.Module] = [_conv(inputs, widths[-1]), ResidualBlock(widths[-1])]
    for below, above in pairwise(reversed(widths)):
        layers += [nn.Upsample(scale_factor=2), _conv(below, above), ResidualBlock(above)]
    return nn.Sequential(
        *layers, nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), _conv(widths[0], channels)
    )
