"""The structure gap: one number of local structure from four metrics and their floors."""

from collections.abc import Mapping

import numpy as np

RESOLUTION = 4.0
"""A gap is resolvable if it exceeds its floor by so many standard deviations of the floor."""


def structure_gap(values: Mapping[str, float], floors: Mapping[str, float]) -> float:
    """Mean distance of four metrics of local structure from their real-versus-real floors.

        2 |acc - acc_floor|                    acc: knn_two_sample
        |cov - cov_floor| / cov_floor          cov: coverage
        |W1 - W1_floor| / mean real k-th neighbour distance
        | |log(lid_generated / lid_real)| - its floor |

    It is 0 if the neighbourhoods of generated images are like those of real ones. An undefined term
    (such as the intrinsic dimension of duplicates) is left out of the mean.

    Args:
        values: knn_two_sample, coverage, knn_distance_w1, lid_log_ratio, mean_real_distance.
        floors: the first four.
    """
    return _mean(_terms(values, floors))


GAP_TERMS = ("knn_two_sample", "coverage", "knn_distance_w1", "lid_log_ratio")


def gap_with_floor(
    drawn: Mapping[str, np.ndarray], floor_drawn: Mapping[str, np.ndarray]
) -> dict[str, float | bool]:
    """The structure gap of generated images and its floor, the gap of n real images (above 0).

    Both are means of `structure_gap` over draws; its floors are the means over all floor draws. A
    term that is undefined in a draw on one side is left out of that draw on both, so that both are
    means over the same terms; a draw without any term is left out.
    `resolvable`: the gap exceeds its floor by at least RESOLUTION standard deviations of the floor.

    Args:
        drawn, floor_drawn: name -> [draws], with the names that `structure_gap` reads.
    """
    floors = {name: _mean(floor_drawn[name]) for name in GAP_TERMS}
    model, real = (
        np.array([_terms(row, floors) for row in _rows(part)]) for part in (drawn, floor_drawn)
    )  # [draws, terms]
    both = np.isfinite(model) & np.isfinite(real)
    rows = both.any(axis=1)
    of_model, of_floor = (
        np.array([_mean(draw[there]) for draw, there in zip(side[rows], both[rows], strict=True)])
        for side in (model, real)
    )
    value, floor = _mean(of_model), _mean(of_floor)
    floor_std = _deviation(of_floor)
    return {
        "value": value,
        "std": _deviation(of_model),
        "floor": floor,
        "floor_std": floor_std,
        "resolvable": bool(value - floor >= RESOLUTION * floor_std),
    }


def _terms(values: Mapping[str, float], floors: Mapping[str, float]) -> np.ndarray:
    """The terms of the mean in `structure_gap` [4]; not finite where one is undefined."""
    away = {name: abs(values[name] - floors[name]) for name in floors}
    return np.array(
        [
            2 * away["knn_two_sample"],
            _ratio(away["coverage"], floors["coverage"]),
            _ratio(away["knn_distance_w1"], values["mean_real_distance"]),
            away["lid_log_ratio"],
        ]
    )


def _rows(drawn: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    names = (*GAP_TERMS, "mean_real_distance")
    return [{name: float(drawn[name][d]) for name in names} for d in range(len(drawn[names[0]]))]


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else float("nan")
