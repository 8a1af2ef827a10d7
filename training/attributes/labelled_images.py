"""Takes labelled training images of some classes at random."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dataset.classes import compared_classes
from dataset.errors import DatasetError
from dataset.store import ImageDataset
from foundation.did_you_mean import check_name


def labelled_rows(
    dataset: ImageDataset, names: Sequence[str] | None, count: int, seed: int
) -> tuple[np.ndarray, Tensor, list[str]]:
    """(rows int64 [N], numbers of their names int64 [N], names) of training images.

    names: of classes, or of groups where labels are captions; None: all. N is `count`, or all there
    are. Raises DatasetError where there are no classes, ValueError for an unknown name.
    """
    classes, _ = compared_classes(dataset)
    known = dataset.group_names
    if not known:
        raise DatasetError("the images have no classes, so no attribute can be learned from them")
    chosen = list(known) if names is None else list(names)
    for name in chosen:
        check_name("class", name, known)
    number = np.full(len(known) + 1, -1)  # the last place is that of label -1
    for place, name in enumerate(chosen):
        number[known.index(name)] = place
    rows = dataset.train_indices[number[classes[dataset.train_indices]] >= 0]
    order = np.random.default_rng(seed).permutation(len(rows))[:count]
    rows = np.sort(rows[order])
    return rows, torch.from_numpy(number[classes[rows]]), chosen
