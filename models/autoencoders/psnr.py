"""How near reconstructions are to their pictures."""

from torch import Tensor

MOST = 100.0
"""Decibels of a reconstruction that is equal in every pixel."""


def psnr(images: Tensor, decoded: Tensor, span: float) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(span^2 / mean squared error) (dB) of each image [B].

    images, decoded: [B, ...] of one floating type; span: from black to white. At most MOST.
    """
    error = (decoded - images).square().flatten(1).mean(1)
    return 10 * (span**2 / error.clamp_min(span**2 / 10 ** (MOST / 10))).log10()
