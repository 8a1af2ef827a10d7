"""Train or held-out, decided by a hash of each image's own pixels.

So all copies of an image are on one side, and adding or removing images moves no other image.
"""

import hashlib

import numpy as np

from dataset.errors import DatasetError


def image_hash(data: bytes) -> int:
    """A 64-bit hash of an image's final bytes."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"held-out").digest())


def hash_split(hashes: np.ndarray, held_out: float) -> np.ndarray:
    """uint64 [N] -> int8 [N], 1 for the share `held_out` with the lowest hashes, else 0.

    Raises DatasetError where one side gets fewer than two images.
    """
    threshold = np.uint64(round(held_out * 2**64))
    split = (hashes < threshold).astype(np.int8)
    num_held_out = int(split.sum())
    if min(num_held_out, len(split) - num_held_out) < 2:
        raise DatasetError(
            f"dataset: {len(split)} images ({len(np.unique(hashes))} distinct) give "
            f"{len(split) - num_held_out} to train and {num_held_out} held out, but each needs 2: "
            f"give at least {_enough(held_out)} distinct images, or a larger held_out (at most 0.5)"
        )
    return split


def _enough(held_out: float) -> int:
    """Fewest images of which, with probability 0.999, at least two are held out."""
    n = 4
    while (1 - held_out) ** n + n * held_out * (1 - held_out) ** (n - 1) > 1e-3:
        n += 1
    return n
