"""Chooses the label of each generated image."""

import numpy as np

from dataset.slots import slot_indices
from dataset.store import ImageDataset


def generation_labels(
    dataset: ImageDataset,
    seed: int,
    count: int,
    *,
    conditional: bool = True,
    images: np.ndarray | None = None,
) -> np.ndarray:
    """Label of each generated image, int64 [count], taken from training images in random order.

    So classes are as frequent as in the training images. Image i's label depends on (seed, i) and
    the data set alone. All are -1 if the data set has no labels or the denoiser is not
    `conditional`; images labelled -1 are judged without regard to classes. images: the training
    images whose labels are taken, without copies for a judgement; None: all.
    """
    if not (dataset.num_classes and conditional):
        return np.full(count, -1, np.int64)
    labels = np.asarray(dataset.labels)[dataset.train_indices if images is None else images]
    return labels[slot_indices(seed, len(labels), range(count))]
