"""Tells which images are copies of others, equal in every pixel."""

from collections.abc import Callable

import numpy as np

from dataset.split import image_hash

AT_ONCE = 256
"""Images that are read at once."""


def pixel_keys(
    images: np.ndarray,
    indices: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """uint64 [N]: equal for images[indices] that are equal in every pixel.

    images: uint8 [*, H, W, C], a memory map. progress: called with (done, total).
    """
    keys = np.empty(len(indices), np.uint64)
    for start in range(0, len(indices), AT_ONCE):
        chunk = images[indices[start : start + AT_ONCE]]
        keys[start : start + len(chunk)] = np.array(
            [image_hash(image.tobytes()) for image in chunk], np.uint64
        )
        if progress is not None:
            progress(start + len(chunk), len(indices))
    return keys


def first_of_each(keys: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Ascending positions of the first image of each key or, with labels, of each key and label."""
    columns = keys[:, None]
    if labels is not None:
        columns = np.stack([keys, labels.astype(np.int64).view(np.uint64)], axis=1)
    _, first = np.unique(columns, axis=0, return_index=True)
    return np.sort(first)
