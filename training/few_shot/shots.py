"""Takes a few labelled images of each class, and others to test on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset.classes import compared_classes
from dataset.errors import DatasetError
from dataset.store import ImageDataset
from foundation.did_you_mean import check_name


@dataclass(frozen=True)
class Chosen:
    """Rows of a data set, and the number of each one's class among `names`."""

    names: list[str]
    shots: np.ndarray
    """int64 [K * shots], those of a class one after another."""
    shot_classes: np.ndarray
    test: np.ndarray
    """int64 [M], no shot among them."""
    test_classes: np.ndarray
    others: np.ndarray
    """Training images of no class asked for."""


def choose(
    dataset: ImageDataset,
    names: Sequence[str] | None,
    shots: int,
    tested: int,
    seed: int,
    *,
    held_out_only: bool = True,
) -> Chosen:
    """`shots` training images of each class, and at most `tested` other images of these classes.

    Which ones depends on the seed and, for the shots of a class, on that class alone.

    Args:
        names: of classes; None: all that the data set has.
        held_out_only: test on held-out images, which no denoiser of this data set was trained on;
            False: on all that are no shots.

    Raises DatasetError where images have no classes; ValueError for an unknown class, one named
    twice, one alone, one with too few training images, and where nothing is left to test on.
    """
    classes, _ = compared_classes(dataset)
    known = list(dataset.group_names)
    if not known:
        raise DatasetError("the images have no classes, so there is nothing to tell apart")
    chosen = known if names is None else list(names)
    for name in chosen:
        check_name("class", name, known)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"classes {', '.join(chosen)}: name each once")
    if len(chosen) < 2:
        raise ValueError(f"one class, {chosen[0]!r}, is nothing to tell apart: name two or more")
    taken = []
    for name in chosen:
        label = known.index(name)
        rows = dataset.train_indices[classes[dataset.train_indices] == label]
        if len(rows) < shots:
            raise ValueError(
                f"class {name!r} has {len(rows)} training images, and {shots} shots were asked "
                "for: ask for fewer shots"
            )
        taken.append(np.random.default_rng([seed, label]).permutation(rows)[:shots])
    shown = np.concatenate(taken)
    number = np.full(len(known) + 1, -1)  # the last place is that of label -1
    number[[known.index(name) for name in chosen]] = np.arange(len(chosen))
    pool = dataset.held_out_indices
    if not held_out_only:
        pool = np.setdiff1d(np.concatenate([dataset.train_indices, pool]), shown)
    pool = pool[number[classes[pool]] >= 0]
    if not len(pool):
        raise ValueError(
            "no held-out image of these classes is left to test on"
            + (
                ": --test remaining tests on training images that are no shots"
                if held_out_only
                else ""
            )
        )
    test = np.sort(np.random.default_rng([seed, len(known)]).permutation(pool)[:tested])
    train = dataset.train_indices
    return Chosen(
        chosen,
        shown,
        np.repeat(np.arange(len(chosen)), shots),
        test,
        number[classes[test]],
        train[number[classes[train]] < 0],
    )
