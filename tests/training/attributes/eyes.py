"""A denoiser whose hidden state is the image, for tests of what reads hidden states."""

from types import SimpleNamespace

import torch


class Eyes:
    """A denoiser whose bottleneck is the scaled image."""

    device = torch.device("cpu")

    def encode(self, x, sigma, labels=None):
        scale = 1 / (sigma**2 + 0.5**2).sqrt()
        return SimpleNamespace(bottleneck=x * scale[:, None, None, None], sigma=sigma)
