"""Random draws for every metric and its floor, the same metric between real images."""

from collections.abc import Callable

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray, int], dict[str, float]]
"""(real [n, F], other [n, F], seed) -> numbers by name."""


def equal_size(num_generated: int, num_train: int, num_held_out: int) -> int:
    """Number n of images on each side of a comparison, for generated images and floors alike.

    It is at most half of the held-out split, so that random draws of n held-out images differ.
    """
    return min(num_generated, num_held_out // 2, num_train)


def draw_metrics(
    measure: Measure,
    others: np.ndarray,
    held_out: np.ndarray,
    n: int,
    draws: int,
    seed: int,
    done: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Measure n of `others` against n held-out features, in each of several random draws.

    Draw d uses the same held-out images whatever the others are, so that generated images and the
    floor (others = train split) are compared with the same real images.

    Args:
        others, held_out: [*, F], memory maps welcome.
        done: called after each draw with its number, from 1.

    Returns:
        name -> float64 [draws].
    """
    rows = []
    for draw in range(draws):
        real = _pick(held_out, n, np.random.default_rng([seed, draw, 0]))
        other = _pick(others, n, np.random.default_rng([seed, draw, 1]))
        rows.append(measure(real, other, seed + draw))
        if done is not None:
            done(draw + 1)
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


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


def _pick(features: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    chosen = generator.choice(len(features), n, replace=False)
    return np.asarray(features[np.sort(chosen)])
