"""Which label each generated image is asked to show."""

import numpy as np

from dataset.slots import slot_indices
from dataset.store import ImageDataset


def generation_labels(
    dataset: ImageDataset, seed: int, count: int, *, conditional: bool = True
) -> np.ndarray:
    """Label of each generated image, int64 [count]: those of shuffled training images.

    Image i's label depends on (seed, i) and the data set alone; -1 without labels, or where the
    denoiser is not `conditional`: its images were asked to show nothing, and are judged so.
    """
    if not (dataset.num_classes and conditional):
        return np.full(count, -1, np.int64)
    labels = np.asarray(dataset.labels)[dataset.train_indices]
    return labels[slot_indices(seed, len(labels), range(count))]
