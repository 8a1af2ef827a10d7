"""Judges the shares of classes among generated images, and what they cost the images."""

from dataclasses import dataclass

import numpy as np

from evaluation.config import EvaluationConfig
from evaluation.fairness.shares import (
    answered_shares,
    confusion,
    corrected_shares,
    discrepancy,
)
from evaluation.fairness.wanted import WantedShares
from evaluation.kid import kernel_distance


@dataclass(frozen=True)
class Judged:
    """Metrics as `judge` gives them, and the shares of the classes that are wanted or found."""

    metrics: dict[str, dict[str, float]]
    shares: dict[str, dict[str, float]]
    """{class: {"wanted", "found", "answered"}}; found: corrected for the judge's errors."""


def judge_shares(
    answers: np.ndarray,
    features: np.ndarray,
    real: tuple[np.ndarray, np.ndarray],
    wanted: WantedShares,
    config: EvaluationConfig,
    seed: int,
) -> Judged:
    """Metrics fairness_discrepancy, fairness_discrepancy_uncorrected, share_error and target_kid.

    A discrepancy's deviation is that over random re-drawings of the generated images. Its floor is
    what as many real images give whose classes have exactly the wanted probabilities: they are
    drawn from one random half of the held-out images, and the judge's errors are known from the
    other half. target_kid is KID to held-out images mixed as wanted; its floor that of training
    images mixed as wanted. So shares that are right at the cost of the images show.

    Args:
        answers: int64 [M], the judge's answers on the generated images.
        features: float [M, F], theirs.
        real: (train [N, F], held-out [K, F]) features of the reference.
        seed: of all draws.
    """
    count = len(wanted.shares)
    known = wanted.held_out >= 0
    table = confusion(wanted.answers[known], wanted.held_out[known], count)
    answered = answered_shares(answers, count)
    found = corrected_shares(answered, table)
    values = _numbers(wanted.shares, answered, found)
    drawn: dict[str, list[float]] = {}
    for draw in range(config.floor_draws):
        again = np.random.default_rng([seed, draw, 2]).choice(answers, len(answers))
        _measure(drawn, "", again, table, wanted)
        floor, errors = _real_answers(wanted, len(answers), np.random.default_rng([seed, draw, 3]))
        _measure(drawn, "floor_", floor, errors, wanted)
        for key, value in _distances(features, real, wanted, config, seed, draw).items():
            drawn.setdefault(key, []).append(value)
    if "target_kid" in drawn:
        values["target_kid"] = float(np.mean(drawn["target_kid"]))
    metrics = {
        name: {
            "value": value,
            "std": float(np.std(drawn[name], ddof=1)),
            "floor": float(np.mean(drawn[f"floor_{name}"])),
            "floor_std": float(np.std(drawn[f"floor_{name}"], ddof=1)),
        }
        for name, value in values.items()
    }
    shown = np.flatnonzero((wanted.shares > 0) | (found > 0) | (answered > 0))
    shares = {
        wanted.names[number]: {
            "wanted": float(wanted.shares[number]),
            "found": float(found[number]),
            "answered": float(answered[number]),
        }
        for number in shown
    }
    return Judged(metrics, shares)


def mixed_rows(
    classes: np.ndarray, shares: np.ndarray, most: int, generator: np.random.Generator
) -> np.ndarray:
    """Rows of images whose classes have these shares, each row once, int64, ascending.

    As many as the rarest class allows, at most `most`; counts are rounded, so that their sum may
    miss `most` by a few. classes: int64 [N].
    """
    places = {number: np.flatnonzero(classes == number) for number in np.flatnonzero(shares)}
    size = min(most, *(len(rows) / shares[number] for number, rows in places.items()))
    chosen = [
        generator.choice(rows, min(len(rows), round(size * shares[number])), replace=False)
        for number, rows in places.items()
    ]
    return np.sort(np.concatenate(chosen))


def _measure(
    drawn: dict[str, list[float]],
    prefix: str,
    answers: np.ndarray,
    table: np.ndarray,
    wanted: WantedShares,
) -> None:
    """Append the numbers of one draw of answers."""
    answered = answered_shares(answers, len(wanted.shares))
    found = corrected_shares(answered, table)
    for name, value in _numbers(wanted.shares, answered, found).items():
        drawn.setdefault(prefix + name, []).append(value)


def _numbers(wanted: np.ndarray, answered: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """How far shares [C] are from the wanted ones, as the judge answers and corrected."""
    return {
        "fairness_discrepancy": discrepancy(wanted, found),
        "fairness_discrepancy_uncorrected": discrepancy(wanted, answered),
        "share_error": float(np.abs(wanted - found).max()),
    }


def _real_answers(
    wanted: WantedShares, size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(the judge's answers on `size` real images with the wanted shares, its errors elsewhere)."""
    half = np.zeros(len(wanted.held_out), bool)
    for number in np.unique(wanted.held_out[wanted.held_out >= 0]):
        rows = generator.permutation(np.flatnonzero(wanted.held_out == number))
        half[rows[: (len(rows) + 1) // 2]] = True
    other = ~half & (wanted.held_out >= 0)
    table = confusion(wanted.answers[other], wanted.held_out[other], len(wanted.shares))
    asked = generator.choice(len(wanted.shares), size, p=wanted.shares / wanted.shares.sum())
    answers = np.empty(size, np.int64)
    for number in np.unique(asked):
        pool = wanted.answers[half & (wanted.held_out == number)]
        places = asked == number
        answers[places] = generator.choice(pool, int(places.sum()))
    return answers, table


def _distances(
    features: np.ndarray,
    real: tuple[np.ndarray, np.ndarray],
    wanted: WantedShares,
    config: EvaluationConfig,
    seed: int,
    draw: int,
) -> dict[str, float]:
    """KID of generated and of training images to held-out ones mixed as wanted; {} if too few."""
    rows = [
        mixed_rows(classes, wanted.shares, len(features), np.random.default_rng([seed, draw, part]))
        for part, classes in ((4, wanted.held_out), (5, wanted.train))
    ]
    n = min(len(side) for side in rows)
    if n < 2:
        return {}
    held_out = np.asarray(real[1][rows[0]])
    generator = np.random.default_rng([seed, draw, 6])
    generated = features[generator.choice(len(features), min(n, len(features)), replace=False)]
    sets = {"target_kid": generated, "floor_target_kid": np.asarray(real[0][rows[1]])}
    return {
        name: kernel_distance(
            held_out,
            other,
            subsets=config.kid_subsets,
            subset_size=config.kid_subset_size,
            seed=seed + draw,
        )["value"]
        for name, other in sets.items()
    }
