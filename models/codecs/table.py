"""Between pictures (uint8, NHWC) and the denoiser's data space (float, NCHW).

Whatever reads or makes pictures goes through the denoiser's codec: training and held-out images on
the way in, samples, previews and classifiers on the way out. A denoiser's weights name its codec.
A new codec is one class with these methods and one entry in CODECS.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from foundation.did_you_mean import check_name
from models.codecs.latent import LatentCodec
from models.codecs.pixel import PixelCodec


class Codec(Protocol):
    """Encodes what a data set stores, and decodes what a denoiser makes."""

    kind: str

    @property
    def noise_shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of the unit normal noise that `encode` takes; None if it takes none."""
        ...

    def data_shape(self, picture_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) of the data space for pictures of (C, H, W)."""
        ...

    def shown_shape(self, data_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) of the pictures of data of (C, H, W)."""
        ...

    def of_pictures(self, pictures: np.ndarray) -> Tensor:
        """Pictures uint8 [N, H, W, C] -> data float32 [N, C, H, W] on the CPU; see `encode`, which
        takes what a data set stores."""
        ...

    def encode(
        self, stored: np.ndarray, mirrored: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """What the data set stores [N, ...] -> data float32 [N, C, H, W] on the CPU.

        Rows where `mirrored` (bool [N]) is true show their picture's mirror image. noise: unit
        normal [N, *noise_shape] where a picture has a distribution of data; None: its mean.
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

    def look_near(self, path: Path) -> None:
        """Look for files that decoding needs near this file or folder, once they are needed."""
        ...

    def describe(self) -> dict[str, Any]:
        """What `from_description` needs to make this codec again, JSON-able, with its `kind`."""
        ...

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Codec":
        """The inverse of `describe`."""
        ...


CODECS: dict[str, type[Codec]] = {"none": PixelCodec, "latent": LatentCodec}


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
