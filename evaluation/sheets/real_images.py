"""Real images to stand beside generated ones: the same classes in the same order."""

import hashlib
from collections.abc import Sequence

import numpy as np

from dataset.store import ImageDataset


def real_counterparts(dataset: ImageDataset, labels: np.ndarray) -> np.ndarray:
    """Numbers of real images, one for each label, of the same class; int64 [N].

    Held-out images come first, which the generated ones are judged by; where a class has too few of
    them, its training images follow, and then its images again. A label of -1 takes any image. The
    same labels always give the same images.
    """
    labels = np.asarray(labels)
    found = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        pool = np.concatenate(
            [_shuffled(_of_class(dataset, side, label), int(label)) for side in _sides(dataset)]
        )
        found[places] = np.resize(pool, len(places))
    return found


def classes_without(labels: np.ndarray, label_names: Sequence[str]) -> list[str]:
    """Names of the classes that no label names, in the order of the classes."""
    present = set(np.unique(labels).tolist())
    return [name for label, name in enumerate(label_names) if label not in present]


def _sides(dataset: ImageDataset) -> tuple[np.ndarray, np.ndarray]:
    return dataset.held_out_indices, dataset.train_indices


def _of_class(dataset: ImageDataset, indices: np.ndarray, label: int) -> np.ndarray:
    return indices if label < 0 else indices[dataset.labels[indices] == label]


def _shuffled(indices: np.ndarray, label: int) -> np.ndarray:
    """In an order that depends on the label and the number of images alone."""
    key = hashlib.blake2b(f"real_counterparts/{label}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(key, "little")).permutation(indices)
