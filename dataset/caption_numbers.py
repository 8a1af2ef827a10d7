"""Which number each caption has: labels are the rows of a list of distinct captions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset.names import natural_order


@dataclass(frozen=True)
class NumberedCaptions:
    """Distinct captions, and the images' labels among them."""

    captions: list[str]
    """Those of training images first, each part in natural order."""
    trained: int
    """So many are of training images."""
    labels: np.ndarray
    """int64 [N], -1 where an image has no caption."""

    def remarks(self) -> list[str]:
        """What somebody who prepared this data set should know, one line each."""
        count, none = len(self.labels), int((self.labels < 0).sum())
        lines = [
            f"{len(self.captions):,} distinct captions, {self.trained:,} of them of training images"
        ]
        if none:
            lines.append(f"{none:,} of {count:,} images have no caption, and are trained without")
        return lines


def number_captions(captions: Sequence[str], split: np.ndarray) -> NumberedCaptions:
    """Number the captions of images, "" where there is none. split: int8 [N], 1 = held out."""
    train = {text for text, side in zip(captions, split, strict=True) if text and side == 0}
    other = {text for text in captions if text} - train
    names = [*sorted(train, key=natural_order), *sorted(other, key=natural_order)]
    number = {text: label for label, text in enumerate(names)} | {"": -1}
    return NumberedCaptions(
        names, len(train), np.array([number[text] for text in captions], dtype=np.int64)
    )


def groups_of_labels(labels: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """The group of each label, int64 [count]: that of all its images, -1 where they differ.

    labels, groups: int64 [N], -1 = none.
    """
    found = np.full(count, -1, dtype=np.int64)
    known = labels >= 0
    found[labels[known]] = groups[known]
    mixed = labels[known][found[labels[known]] != groups[known]]
    found[mixed] = -1
    return found
