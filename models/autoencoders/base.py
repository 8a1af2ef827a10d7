"""What every autoencoder does."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


def pictures_at_once(height: int, width: int) -> int:
    """How many pictures an autoencoder takes at once, so that its layers' memory stays the same.

    64 of 128x128 pixels or fewer; the first layers of a large decoder hold gigabytes for each
    picture of 512x512.
    """
    return max(1, min(64, (1 << 20) // (height * width)))


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the latents of some pictures, each float [B, c, h, w]."""

    mean: Tensor
    std: Tensor

    def stacked(self) -> Tensor:
        """[B, 2c, h, w]: the means, then the standard deviations."""
        return torch.cat([self.mean, self.std], dim=1)


class Autoencoder(nn.Module):
    """Encodes pictures into latents and decodes latents into pictures.

    A derived class writes `encode` and `decode`, names its `kind`, and takes the three numbers
    below and its `architecture` as keywords. Both directions are differentiable, and run on the
    device and in the precision of what they are given or of its weights.
    """

    kind: str = ""
    """Name of the kind, as in params.yaml."""
    in_bands: bool = False
    """Whether the decoder has no layers that mix rows but 3x3 convolutions and group norms, so that
    models/bands/decoding.py can cut pictures into bands."""

    def __init__(self, channels: int, latent_channels: int, factor: int):
        """channels: of pictures; factor: by which latents are smaller than pictures."""
        super().__init__()
        self.channels, self.latent_channels, self.factor = channels, latent_channels, factor

    def architecture(self) -> dict[str, Any]:
        """What making it again needs beside channels, latent_channels and factor, JSON-able."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What `load_autoencoder` needs beside the weights, JSON-able."""
        return {
            "kind": self.kind,
            "channels": self.channels,
            "latent_channels": self.latent_channels,
            "factor": self.factor,
            "architecture": self.architecture(),
        }

    def encode(self, images: Tensor) -> Moments:
        """Pictures [B, C, H, W] in [-1, 1] -> moments of their latents, each [B, c, h, w]."""
        raise NotImplementedError

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, c, h, w], as `encode` gives them -> pictures [B, C, H, W] in [-1, 1].

        Values that no picture can show are clamped.
        """
        raise NotImplementedError

    def latent_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(c, h, w) of the latents of pictures of (C, H, W).

        Raises ValueError for pictures that it cannot encode.
        """
        channels, height, width = image_shape
        if channels != self.channels:
            raise ValueError(
                f"the autoencoder ({self.kind}) was made for pictures of {self.channels} channels, "
                f"and these have {channels}: make it anew (dvc repro autoencoder)"
            )
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"the autoencoder ({self.kind}) makes pictures {self.factor} times smaller, which "
                f"does not divide {height}x{width}: change dataset.resolution or autoencoder.factor"
            )
        return self.latent_channels, height // self.factor, width // self.factor
