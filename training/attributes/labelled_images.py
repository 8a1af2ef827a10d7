"""Takes labelled training images of some classes at random."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dataset.classes import numbered
from dataset.store import ImageDataset


def labelled_rows(
    dataset: ImageDataset, names: Sequence[str] | None, count: int, seed: int
) -> tuple[np.ndarray, Tensor, list[str]]:
    """(rows int64 [N], numbers of their names int64 [N], names) of training images.

    names: of classes, or of groups where labels are captions; None: all. N is `count`, or all there
    are. Raises DatasetError where there are no classes, ValueError for an unknown name.
    """
    chosen, values = numbered(dataset, names, "no attribute can be learned from them")
    rows = dataset.train_indices[values[dataset.train_indices] >= 0]
    order = np.random.default_rng(seed).permutation(len(rows))[:count]
    rows = np.sort(rows[order])
    return rows, torch.from_numpy(values[rows]), chosen
