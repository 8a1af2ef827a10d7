"""The denoiser's hidden state of noisy images, from which an attribute is read."""

import torch
from torch import Tensor

from models.denoiser import Denoiser, Hidden


def encoded(denoiser: Denoiser, x: Tensor, sigma: Tensor) -> Hidden:
    """The denoiser's state for noisy images, without labels and without a gradient."""
    with torch.no_grad():
        return denoiser.encode(x.to(denoiser.device), sigma.to(denoiser.device))
