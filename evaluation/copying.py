"""Whether generated images lie nearer to the training images than unseen real ones do."""

from collections.abc import Callable

import numpy as np
import torch

from models.neighbours import nearest_in

DRAWS = 5
"""Random draws, fewer than those of other metrics: each looks through two banks."""


def copy_ratio(generated: np.ndarray, train: np.ndarray, unseen: np.ndarray) -> float:
    """Mean distance to the nearest training image over that to the nearest unseen one.

    1 where neither set is nearer; below it the generator moves towards its training images, and 0
    if every image is a copy. Both sets must be equally large, or the larger would be nearer.

    Args:
        generated: features [N, F]; train, unseen: [M, F]; tensors are accepted too.

    Raises ValueError for sets of other sizes, and where the unseen images are copies themselves.
    """
    if len(train) != len(unseen) or len(train) == 0 or len(generated) == 0:
        raise ValueError(
            f"copy_ratio: {len(train)} training and {len(unseen)} unseen images: give as many of "
            "either, and at least one generated image"
        )
    queries = torch.as_tensor(np.asarray(generated))
    to_train, to_unseen = (_mean_nearest(queries, bank) for bank in (train, unseen))
    if to_unseen == 0:
        raise ValueError("copy_ratio: all generated images are copies of unseen ones")
    return to_train / to_unseen


def drawn_copy_ratios(
    generated: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    seed: int,
    draws: int = DRAWS,
    done: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """{"value", "std", "floor", "floor_std"} of `copy_ratio` over random draws.

    Each draw halves the held-out images: one half is the unseen set, the other asks for the floor.
    As many training images are drawn, and as many generated ones are asked (fewer if there are
    fewer).

    Args:
        generated, train, held_out: features [*, F], memory maps welcome.
        done: called after each of the 2 * draws measurements with its number.
    """
    size = min(len(train), len(held_out) // 2)
    found: dict[str, list[float]] = {"value": [], "floor": []}
    for draw in range(draws):
        random = np.random.default_rng([seed, draw, 2])
        order = random.permutation(len(held_out))
        unseen, asking = (
            held_out[np.sort(part)] for part in (order[:size], order[size : 2 * size])
        )
        seen = train[np.sort(random.permutation(len(train))[:size])]
        some = random.permutation(len(generated))[:size]
        for name, queries in (("value", generated[np.sort(some)]), ("floor", asking)):
            found[name].append(copy_ratio(queries, seen, unseen))
            if done is not None:
                done(sum(map(len, found.values())))
    return {
        **{name: float(np.mean(values)) for name, values in found.items()},
        "std": float(np.std(found["value"], ddof=1)) if draws > 1 else 0.0,
        "floor_std": float(np.std(found["floor"], ddof=1)) if draws > 1 else 0.0,
    }


def _mean_nearest(queries: torch.Tensor, bank: np.ndarray) -> float:
    points = torch.as_tensor(np.asarray(bank))
    index = nearest_in(queries, points, 1)[:, 0]
    return float((queries.double() - points[index].double()).norm(dim=1).mean())
