"""Between pictures (uint8, NHWC) and the denoiser's data space (float, NCHW).

Whatever reads or makes pictures goes through the denoiser's codec: training and held-out images on
the way in, samples, previews and classifiers on the way out. A denoiser's weights name its codec.
A new codec is one class with these methods and one entry in CODECS.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from foundation.did_you_mean import check_name


class Codec(Protocol):
    """Encodes what a data set stores, and decodes what a denoiser makes."""

    kind: str

    def data_shape(self, picture_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) of the data space for pictures of (C, H, W)."""
        ...

    def encode(self, stored: np.ndarray, mirrored: Tensor | None = None) -> Tensor:
        """What the data set stores [N, ...] -> data float32 [N, C, H, W] on the CPU.

        Rows where `mirrored` (bool [N]) is true show their picture's mirror image.
        """
        ...

    def decode(self, data: Tensor) -> np.ndarray:
        """Data [N, C, H, W] -> pictures uint8 [N, H, W, C]."""
        ...

    def pictures(self, data: Tensor) -> Tensor:
        """Data [N, C, H, W] -> pictures float [N, C, H, W] in [-1, 1], differentiable."""
        ...

    def clip(self, data: Tensor) -> Tensor:
        """Data without what no picture can show, differentiable."""
        ...

    def describe(self) -> dict[str, Any]:
        """What `from_description` needs to make this codec again, JSON-able, with its `kind`."""
        ...

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Codec":
        """The inverse of `describe`."""
        ...


class PixelCodec:
    """Data space is the pictures themselves, scaled to [-1, 1]."""

    kind = "none"

    def data_shape(self, picture_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The picture's own."""
        return picture_shape

    def encode(self, stored: np.ndarray, mirrored: Tensor | None = None) -> Tensor:
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

    def describe(self) -> dict[str, Any]:
        """{"kind": "none"}."""
        return {"kind": self.kind}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "PixelCodec":
        """It has nothing to set."""
        return cls()


CODECS: dict[str, type[Codec]] = {"none": PixelCodec}


def make_codec(description: Mapping[str, Any] | None = None) -> Codec:
    """The codec that a weights file's description names; None: pixels.

    Raises ValueError for an unknown kind.
    """
    if description is None:
        description = {"kind": "none"}
    if not isinstance(description, Mapping) or not isinstance(description.get("kind"), str):
        raise ValueError(f"codec is {description!r:.60}, which names no kind of codec")
    check_name("codec", description["kind"], CODECS)
    return CODECS[description["kind"]].from_description(description)


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
