"""Pixels as data space, and the step between uint8 and float that all codecs share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


class PixelCodec:
    """Data space is the pictures themselves, scaled to [-1, 1]."""

    kind = "none"

    def data_shape(self, picture_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The picture's own."""
        return picture_shape

    def shown_shape(self, data_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The data's own."""
        return data_shape

    noise_shape = None

    def of_pictures(self, pictures: np.ndarray) -> Tensor:
        """uint8 [N, H, W, C] -> float32 [N, C, H, W] = value / 127.5 - 1."""
        return to_float(pictures)

    def encode(
        self, stored: np.ndarray, mirrored: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """uint8 [N, H, W, C] -> float32 [N, C, H, W] = value / 127.5 - 1."""
        data = to_float(stored)
        if mirrored is None:
            return data
        return torch.where(mirrored[:, None, None, None], data.flip(3), data)

    def decode(self, data: Tensor) -> np.ndarray:
        """Float [N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], rounded to nearest, clipped."""
        return to_uint8(data)

    def pictures(self, data: Tensor) -> Tensor:
        """The data themselves."""
        return data

    def clip(self, data: Tensor) -> Tensor:
        """Values beyond black (-1) and white (1) are set to these."""
        return data.clamp(-1, 1)

    def look_near(self, path: Path) -> None:
        """It has no files of its own."""

    def describe(self) -> dict[str, Any]:
        """{"kind": "none"}."""
        return {"kind": self.kind}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "PixelCodec":
        """It has nothing to set."""
        return cls()


def to_float(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 [N, H, W, C] -> contiguous float32 [N, C, H, W] = value / 127.5 - 1, same device."""
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.require(images, requirements=["C", "W"]))  # torch's demands
    pixels = images  # [N, H, W, C]
    assert pixels.dtype == torch.uint8 and pixels.ndim == 4, (pixels.dtype, pixels.shape)
    values = torch.empty(pixels.permute(0, 3, 1, 2).shape, device=pixels.device)  # [N, C, H, W]
    return values.copy_(pixels.permute(0, 3, 1, 2)).div_(127.5).sub_(1)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Float [N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], rounded to nearest, clipped.

    The exact inverse of `to_float`. Not-a-number has no pixel value and is refused.
    """
    assert images.ndim == 4, images.shape
    values = images.detach().float()
    if torch.isnan(values).any():
        raise ValueError("images hold NaN, which has no pixel value: the denoiser has diverged")
    pixels = (values * 127.5 + 128).clip(0, 255).to(torch.uint8)  # truncation after +0.5 rounds
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())  # [N, H, W, C]
