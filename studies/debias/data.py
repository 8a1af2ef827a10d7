"""Data sets whose classes have chosen shares, cut from a prepared one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dataset.store import ImageDataset
from foundation.atomic_files import replacing, write_text
from foundation.did_you_mean import check_name


def skewed(
    source: ImageDataset, shares: Mapping[str, float], images: int, held_out: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, split) of a data set whose training images have these shares, its held-out equal ones.

    The two sides of `source` are mixed, since its split knows nothing of the shares.

    Args:
        shares: {class: share of the training images}, adding up to 1.
        images: training images.
        held_out: held-out images of each class.

    Raises ValueError for a class that is unknown or has too few images.
    """
    rows, split = [], []
    for name, share in shares.items():
        check_name("class", name, source.group_names)
        own = np.flatnonzero(source.group_labels == source.group_names.index(name))
        train = round(images * share)
        if train + held_out > len(own):
            raise ValueError(
                f"class {name} has {len(own)} images, and {train} to train on and {held_out} held "
                "out are asked for: take fewer"
            )
        chosen = np.random.default_rng([seed, len(rows)]).permutation(own)[: train + held_out]
        rows.append(chosen)
        split.append(np.repeat([0, 1], [train, held_out]))
    return np.concatenate(rows), np.concatenate(split).astype(np.int8)


def evened(
    labels: np.ndarray, split: np.ndarray, target: Mapping[int, float], seed: int = 0
) -> np.ndarray:
    """Rows of a data set with some training images repeated, so that their shares are the target's.

    Each class has as many as the target asks of a set in which no image is left out; held-out
    images stay as they are. target: {class: share}, above 0.
    """
    train = {c: np.flatnonzero((labels == c) & (split == 0)) for c in target}
    size = max(len(rows) / target[c] for c, rows in train.items())
    out = [np.flatnonzero(split == 1)]
    for number, (c, rows) in enumerate(train.items()):
        order = np.random.default_rng([seed, number]).permutation(rows)
        out.append(np.resize(order, round(size * target[c])))
    return np.sort(np.concatenate(out))


def write_dataset(
    source: ImageDataset, rows: np.ndarray, split: np.ndarray, out: Path
) -> ImageDataset:
    """Write these images of `source`, in this order, as a prepared data set; dataset.json last."""
    images, labels = np.asarray(source.images[rows]), source.group_labels[rows]
    out.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for name, array in (("images", images), ("labels", labels), ("split", split)):
        digest.update(array.tobytes())
        with replacing(out / f"{name}.npy") as temporary, open(temporary, "wb") as stream:
            np.save(stream, array, allow_pickle=False)
    names = source.group_names
    manifest = source.manifest | {
        "num_images": len(rows),
        "num_distinct": len({image.tobytes() for image in images}),
        "num_train": int((split == 0).sum()),
        "num_held_out": int((split == 1).sum()),
        "class_counts": np.bincount(labels, minlength=len(names)).tolist(),
        "num_unlabelled": 0,
        "content_hash": digest.hexdigest(),
        "remarks": [],
    }
    write_text(out / "dataset.json", json.dumps(manifest, indent=2) + "\n")
    return ImageDataset(out)
