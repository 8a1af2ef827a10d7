"""Encodes what a data set stores, with the noise of latents drawn by image slot."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from dataset.slots import slot_normal
from models.codecs import Codec


def encoded_images(
    codec: Codec,
    stored: np.ndarray,
    mirrored: Tensor | None,
    seed: int,
    stream: str,
    slots: Sequence[int],
) -> Tensor:
    """Data [B, C, H, W] of what is stored for these slots; mirrored: bool [B], or None.

    Row b depends on (seed, stream, slots[b]) alone. Nothing is drawn for pixels.
    """
    if codec.noise_shape is None:
        return codec.encode(stored, mirrored)
    return codec.encode(stored, mirrored, slot_normal(seed, stream, slots, codec.noise_shape))
