"""Takes a few labelled images of each class, and others to test on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset.classes import numbered
from dataset.store import ImageDataset


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
    chosen, number = numbered(dataset, names, "there is nothing to tell apart")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"classes {', '.join(chosen)}: name each once")
    if len(chosen) < 2:
        raise ValueError(f"one class, {chosen[0]!r}, is nothing to tell apart: name two or more")
    train, known, taken = dataset.train_indices, list(dataset.group_names), []
    for place, name in enumerate(chosen):
        rows = train[number[train] == place]
        if len(rows) < shots:
            raise ValueError(
                f"class {name!r} has {len(rows)} training images, and {shots} shots were asked "
                "for: ask for fewer shots"
            )
        taken.append(np.random.default_rng([seed, known.index(name)]).permutation(rows)[:shots])
    shown = np.concatenate(taken)
    pool = dataset.held_out_indices
    if not held_out_only:
        pool = np.setdiff1d(np.concatenate([train, pool]), shown)
    pool = pool[number[pool] >= 0]
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
    return Chosen(
        chosen,
        shown,
        np.repeat(np.arange(len(chosen)), shots),
        test,
        number[test],
        train[number[train] < 0],
    )
