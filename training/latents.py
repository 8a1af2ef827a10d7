"""Encodes a data set once: moments on disk, and the constants that standardise its latents."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.latents import MANIFEST, MIRRORS, MOMENTS
from dataset.store import ImageDataset
from foundation.atomic_files import replacing, write_text
from models.autoencoder import Autoencoder
from models.autoencoders.base import pictures_at_once
from models.codecs.latent import LatentCodec
from models.codecs.pixel import to_float
from models.weights import file_hash

AT_ONCE = 64
"""Images whose latents are read at once."""
CONSTANT = 1e-4
"""A channel whose standard deviation is less than this share of the largest one is constant."""


def encode_dataset(
    dataset: ImageDataset,
    network: Autoencoder,
    name: str,
    folder: Path,
    progress: Callable[[str, int, int], None],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write moments.npy (float16 [N, 2, 2c, h, w]) and latents.json; returns the latter's content.

    Args:
        name: hash of the autoencoder, by which the latents know it.
        progress: called with (what is done, done, total), in images.
        facts: further entries of latents.json, with its `kind`.

    Raises ValueError for pictures that do not fit the autoencoder, for latents that float16 cannot
    hold, and for a channel that is the same number for all training images.
    """
    shape = network.latent_shape(dataset.image_shape)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MOMENTS
    with replacing(path) as temporary:
        stored = np.lib.format.open_memmap(
            temporary,
            mode="w+",
            dtype=np.float16,
            shape=(len(dataset), MIRRORS, 2 * shape[0], *shape[1:]),
        )
        _encode(dataset, network.to(device), stored, progress)
        mean, std = channel_constants(stored, dataset.train_indices, progress)
        random = bool(stored[:, :, shape[0] :].any())
        stored.flush()
        del stored
    codec = LatentCodec(name, dataset.image_shape, shape, tuple(mean), tuple(std), random)
    found = {
        **facts,
        "codec": codec.describe(),
        "dataset": dataset.content_hash,
        "moments_sha256": file_hash(path),
        "bytes": path.stat().st_size,
    }
    write_text(folder / MANIFEST, json.dumps(found, indent=1) + "\n")
    return found


@torch.no_grad()
def _encode(
    dataset: ImageDataset,
    network: Autoencoder,
    stored: np.ndarray,
    progress: Callable[[str, int, int], None],
) -> None:
    device = next((t.device for t in network.state_dict().values()), torch.device("cpu"))
    size = pictures_at_once(*dataset.image_shape[1:])
    for start in range(0, len(dataset), size):
        rows = slice(start, min(start + size, len(dataset)))
        images = to_float(np.asarray(dataset.images[rows])).to(device)
        for side, pictures in enumerate((images, images.flip(3))):
            moments = network.encode(pictures).stacked().float().cpu().numpy()
            if not np.abs(moments).max(initial=0) < np.finfo(np.float16).max:
                raise ValueError(
                    f"encode: latents of images {start} to {rows.stop - 1} are not finite, or too "
                    "large for float16: this autoencoder does not fit these pictures"
                )
            stored[rows, side] = moments
        progress("images encoded", rows.stop, len(dataset))


def channel_constants(
    stored: np.ndarray,
    train_indices: np.ndarray,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each latent channel over the training images.

    stored: moments [N, 2, 2c, h, w]. The variance is that of drawn latents: of the means, plus the
    mean of std^2. Raises ValueError, naming it, for a channel that is constant.
    """
    channels = stored.shape[2] // 2
    total, square, count = np.zeros(channels), np.zeros(channels), 0
    for start in range(0, len(train_indices), AT_ONCE):
        chosen = train_indices[start : start + AT_ONCE]
        moments = stored[chosen, 0].astype(np.float64)  # [b, 2c, h, w]
        means, deviations = moments[:, :channels], moments[:, channels:]
        total += means.sum((0, 2, 3))
        square += (means**2 + deviations**2).sum((0, 2, 3))
        count += means[:, 0].size
        progress("latents measured", start + len(chosen), len(train_indices))
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean**2, 0))
    flat = np.flatnonzero(std <= CONSTANT * std.max())
    if len(flat):
        raise ValueError(
            f"autoencoder.channels: latent channel {flat[0]} (from 0) is the same number for all "
            f"training images, and says nothing: use at most {int(flat[0]) or 1} channels"
        )
    return mean.tolist(), std.tolist()
