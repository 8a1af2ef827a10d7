"""Random draws for every metric and its floor, the same metric between real images."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Measure = Callable[[Any, np.ndarray, int], dict[str, float]]
"""(real [n, F] or what was prepared of it, other [n, F], seed) -> numbers by name."""
Drawn = dict[str, np.ndarray]
"""name -> float64 [draws]."""


def equal_size(num_generated: int, num_train: int, num_held_out: int) -> int:
    """Number n of images on each side of a comparison, for generated images and floors alike.

    It is at most half of the held-out split, so that random draws of n held-out images differ.
    """
    return min(num_generated, num_held_out // 2, num_train)


def draw_metrics(
    measure: Measure,
    sets: Mapping[str, np.ndarray],
    held_out: np.ndarray,
    n: int,
    draws: int,
    seed: int,
    done: Callable[[int], None] | None = None,
    prepare: Callable[[np.ndarray, int], Any] | None = None,
) -> dict[str, Drawn]:
    """Measure n features of each set against n held-out ones, in each of several random draws.

    Draw d uses the same held-out images whatever the sets are, so that generated images and the
    floor (the train split) are compared with the same real images, also when they are measured at
    different times.

    Args:
        sets: name -> features [*, F], memory maps welcome.
        held_out: [*, F].
        done: called after each measurement with its number, from 1 to draws * len(sets).
        prepare: called once a draw with its n held-out features and its number, from 0; `measure`
            gets what it returns in their place.

    Returns:
        For each set, name -> float64 [draws].
    """
    rows: dict[str, list[dict[str, float]]] = {which: [] for which in sets}
    number = 0
    for draw in range(draws):
        real = _pick(held_out, n, np.random.default_rng([seed, draw, 0]))
        prepared = real if prepare is None else prepare(real, draw)
        for which, others in sets.items():
            other = _pick(others, n, np.random.default_rng([seed, draw, 1]))
            rows[which].append(measure(prepared, other, seed + draw))
            number += 1
            if done is not None:
                done(number)
    return {which: by_name(found) for which, found in rows.items()}


def floor_means(
    measure: Measure, train: np.ndarray, held_out: np.ndarray, draws: int, seed: int
) -> dict[str, float]:
    """Mean floors of n = len(held_out) random train features against exactly these held-out ones.

    For a judgement that always uses the same held-out images: draws of others would only add noise
    to its distance from the floor.

    Args:
        train: [N >= n, F], a memory map is welcome.
        held_out: [n, F].

    Raises ValueError if there are fewer train than held-out features.
    """
    n = len(held_out)
    if len(train) < n:
        raise ValueError(f"floor_means: {len(train)} train features for {n} held-out ones")
    rows = [
        measure(held_out, _pick(train, n, np.random.default_rng([seed, draw])), seed + draw)
        for draw in range(draws)
    ]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def by_name(rows: list[dict[str, float]]) -> Drawn:
    """One dict for each draw -> name -> float64 [draws]."""
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


def _pick(features: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    chosen = generator.choice(len(features), n, replace=False)
    return np.asarray(features[np.sort(chosen)])
