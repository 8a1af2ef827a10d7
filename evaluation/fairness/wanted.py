"""The classes of real images, and the shares of them that generated images should have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset.classes import compared_classes
from evaluation.features import image_chunks
from evaluation.reference import Reference
from foundation.did_you_mean import check_name
from models.extractors.classifier import ClassifierExtractor

LEAST = 8
"""Held-out images that a wanted class must have, on half of which the judge's errors are known."""


@dataclass(frozen=True)
class WantedShares:
    """Wanted shares of the classes, and what the judge knows of real images."""

    names: list[str]
    """Of all classes."""
    shares: np.ndarray
    """float64 [C], of all classes."""
    train: np.ndarray
    """int64 [N]: classes of the reference's train features, -1: none."""
    held_out: np.ndarray
    """int64 [M]: classes of its held-out features."""
    answers: np.ndarray
    """int64 [M]: what the judge, the reference's classifier, says that they are."""

    @property
    def told(self) -> str:
        """ "Sneaker 0.5, Ankle boot 0.5"."""
        wanted = np.flatnonzero(self.shares)
        return ", ".join(f"{self.names[number]} {self.shares[number]:.4g}" for number in wanted)


def wanted_shares(target: Mapping[str, float], dataset: Any, reference: Reference) -> WantedShares:
    """What is needed to judge images by a target, {class: share}.

    Raises ValueError, naming evaluation.target, where a class is unknown, no classifier judges, or
    a wanted class has too few held-out images.
    """
    where = "evaluation.target"
    if reference.classifier is None:
        raise ValueError(
            f"{where}: the images have no classes that a classifier could learn, so no shares can "
            "be judged: set it to null"
        )
    classes, count = compared_classes(dataset)
    names = list(dataset.group_names)[:count]
    for name in target:
        check_name(f"{where}: class", name, names)
    shares = np.array([target.get(name, 0.0) for name in names])
    held_out = classes[reference.held_out_indices]
    for number in np.flatnonzero(shares):
        held = int((held_out == number).sum())
        if held < LEAST:
            raise ValueError(
                f"{where}: class {names[number]!r} has {held} held-out images, and {LEAST} are the "
                "fewest from which the judge's errors can be told: raise dataset.held_out"
            )
    answers = answers_of(reference.classifier, dataset.images, reference.held_out_indices)
    return WantedShares(names, shares, classes[reference.train_indices], held_out, answers)


def answers_of(judge: ClassifierExtractor, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The class that the judge sees in each of images[rows], int64 [len(rows)].

    images: uint8 [N, H, W, C], memory maps welcome.
    """
    parts = [judge.head(chunk).argmax(axis=1) for _, chunk in image_chunks(images, rows)]
    return np.concatenate(parts)
