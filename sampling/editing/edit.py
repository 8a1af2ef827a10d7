"""What is edited: an image, the region that is drawn anew, how much is forgotten, how carefully."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sampling.editing.known_region import KnownRegion
from sampling.editing.resampling import descents
from sampling.editing.strength import check_strength, first_step

if TYPE_CHECKING:
    from torch import Tensor

RESAMPLE = 10
"""Passes of each step inside a mask, as RePaint has them (docs/steering.md: what they buy)."""
MOST_PASSES = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """One image and how it is edited: plain data that can be sent to another process.

    Raises ValueError for an image that is no [C, H, W] of finite numbers, a mask of another shape
    or without a drawn cell, a strength outside [0, 1], and less than one pass.
    """

    image: np.ndarray
    """float32 [C, H, W] in data units: pixels in [-1, 1], or latents."""
    drawn: np.ndarray | None = None
    """bool [H, W], True where it is drawn anew; None: everywhere."""
    strength: float = 1.0
    """Share of the steps that are run: 0 returns the image, 1 forgets it (see `first_step`)."""
    resample: int = RESAMPLE
    """Passes of each step. Only an edit with a known region makes more than one."""
    picture: np.ndarray | None = None
    """uint8 [H', W', C'], the picture of which the image is the data; None: data alone."""
    drawn_in_picture: np.ndarray | None = None
    """bool [H', W']; None: everywhere."""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or not np.isfinite(self.image).all():
            raise ValueError(
                f"image {list(self.image.shape)}: give finite numbers [C, H, W] in data units"
            )
        check_strength(self.strength)
        check_passes(self.resample)
        if self.drawn is None:
            return
        if self.drawn.dtype != bool or self.drawn.shape != self.image.shape[1:]:
            raise ValueError(
                f"mask {self.drawn.dtype} {list(self.drawn.shape)}: give bool [H, W] of the image, "
                f"{list(self.image.shape[1:])}"
            )
        if not self.drawn.any():
            raise ValueError("mask: nothing is to be drawn: set True where the image is drawn anew")

    @property
    def passes(self) -> int:
        """How often each step is run: once where no region is known."""
        return 1 if self.drawn is None or bool(self.drawn.all()) else self.resample

    def runs(self, steps: int) -> list[tuple[int, int]]:
        """The solver's runs over a grid of `steps` steps; see `descents`."""
        return descents(first_step(self.strength, steps), steps, self.passes)

    def region(self, like: "Tensor") -> KnownRegion:
        """The image and its region on the device and in the precision of `like`."""
        import torch

        drawn = np.ones(self.image.shape[1:], bool) if self.drawn is None else self.drawn
        return KnownRegion(
            torch.from_numpy(self.image.copy()).to(like),
            torch.from_numpy(drawn.copy()).to(like.device),
        )

    def with_kept_pixels(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures uint8 [N, H', W', C'] with the picture's own pixels where nothing was drawn."""
        if self.picture is None or (self.strength > 0 and self.drawn_in_picture is None):
            return pictures
        if self.strength == 0 or self.drawn_in_picture is None:
            return np.broadcast_to(self.picture, pictures.shape).copy()
        return np.where(self.drawn_in_picture[:, :, None], pictures, self.picture)

    def facts(self) -> dict[str, Any]:
        """All that decides the result, JSON-able and flat; image and mask by their hash."""
        mask = self.drawn if self.picture is None else self.drawn_in_picture
        facts: dict[str, Any] = {
            "image": _hash(self.image if self.picture is None else self.picture),
            "strength": self.strength,
        }
        if mask is not None:
            facts |= {"mask": _hash(mask), "resample": self.resample}
        return facts


def check_passes(resample: int, name: str = "resample") -> None:
    """Raise ValueError unless it is a usable number of passes."""
    whole = isinstance(resample, int | np.integer) and not isinstance(resample, bool)
    if not whole or not 1 <= resample <= MOST_PASSES:
        raise ValueError(
            f"{name} {resample!r:.40}: give how often each step is run, 1 (no resampling) to "
            f"{MOST_PASSES}"
        )


def _hash(array: np.ndarray) -> str:
    digest = hashlib.sha256(repr((array.shape, str(array.dtype))).encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
