"""Which classes a data set has: those with an image to train on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset.errors import DatasetError
from foundation.did_you_mean import check_name
from foundation.few_names import few

SHOWN = 5
"""Classes that a line lists."""


@dataclass(frozen=True)
class Classes:
    """The classes of a data set, and its images' labels among them."""

    names: list[str]
    """Classes with a training image, in the order of their numbers."""
    labels: np.ndarray
    """int64 [N], -1 for an image of none of these classes."""
    untrained: dict[str, list[int]]
    """Classes with held-out images only, and the numbers of these images."""

    @property
    def unjudged(self) -> list[int]:
        """Numbers of the images that are neither trained on nor judged, ascending."""
        return sorted(image for images in self.untrained.values() for image in images)

    def remarks(self) -> list[str]:
        """What somebody who prepared this data set should know of its classes, one line each."""
        if not self.untrained:
            return []
        count = len(self.untrained)
        which = "1 class has" if count == 1 else f"{count} classes have"
        some = few(list(self.untrained), SHOWN)
        return [
            f"{which} no training image ({some}): never sampled, and the "
            f"held-out images ({len(self.unjudged)}) are not judged; more images of a class mend it"
        ]


def trained_classes(names: Sequence[str], labels: np.ndarray, split: np.ndarray) -> Classes:
    """Number the classes with a training image anew, so that none is asked for without one.

    A network learns a class from training images alone. The split goes by content and may hold
    out the only images of a small class; they then lose their label, and keep their side.

    Args:
        names: of all classes that the source knows.
        labels: int64 [N], indices into names, -1 = unlabelled.
        split: int8 [N], 1 = held out.

    Raises DatasetError where fewer than two held-out images are of a class with a training image.
    """
    trained = np.unique(labels[(labels >= 0) & (split == 0)])
    only_held_out = np.setdiff1d(labels[labels >= 0], trained)
    number = np.full(len(names) + 1, -1, dtype=np.int64)  # the last entry is that of label -1
    number[trained] = np.arange(len(trained))
    classes = Classes(
        [names[label] for label in trained],
        number[labels],
        {names[label]: np.flatnonzero(labels == label).tolist() for label in only_held_out},
    )
    held_out = int((split == 1).sum())
    if held_out - len(classes.unjudged) < 2:
        raise DatasetError(
            f"dataset: {len(classes.unjudged)} of {held_out} held-out images are of classes "
            f"without a training image ({few(list(classes.untrained), SHOWN)}), and metrics need 2 "
            "others: give more images to a class, or leave the classes out"
        )
    return classes


def numbered(
    dataset: Any, names: Sequence[str] | None, otherwise: str
) -> tuple[list[str], np.ndarray]:
    """(names, for each image the place of its class among them, int64 [N], -1: none of them).

    names: of classes, or of groups where labels are captions; None: all. Raises DatasetError, which
    ends with `otherwise`, where the images have none; ValueError for an unknown name.
    """
    classes, _ = compared_classes(dataset)
    known = list(dataset.group_names)
    if not known:
        raise DatasetError(f"the images have no classes, so {otherwise}")
    chosen = known if names is None else list(names)
    for name in chosen:
        check_name("class", name, known)
    place = np.full(len(known) + 1, -1)  # the last entry is that of label -1
    place[[known.index(name) for name in chosen]] = np.arange(len(chosen))
    return chosen, place[classes]


def compared_classes(dataset: Any) -> tuple[np.ndarray, int]:
    """(int64 [N], number of classes): groups of images, which are the labels but for captions."""
    classes = getattr(dataset, "group_labels", dataset.labels)
    return classes, getattr(dataset, "num_groups", dataset.num_classes)
