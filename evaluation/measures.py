"""Which function measures which metric on features; each metric's floor is measured by the same."""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from evaluation.config import EvaluationConfig
from evaluation.frechet import Gaussian
from evaluation.kid import kernel_distance
from evaluation.manifold import compare_neighbourhoods
from evaluation.real_side import RealSide

MetricFunction = Callable[[RealSide, np.ndarray, int, EvaluationConfig], Mapping[str, float]]
"""(real, other [n, F], seed of what is random, settings) -> numbers by name. `real.features` is
[n, F] too; the real side is the same object in several comparisons, and is not changed."""


def frechet(
    real: RealSide, other: np.ndarray, seed: int, config: EvaluationConfig
) -> dict[str, float]:
    """Frechet distance."""
    return {"fd": real.gaussian.distance(Gaussian.of(other))}


def kernel(
    real: RealSide, other: np.ndarray, seed: int, config: EvaluationConfig
) -> dict[str, float]:
    """Kernel distance."""
    subsets, size = config.kid_subsets, config.kid_subset_size
    found = kernel_distance(real.features, other, subsets=subsets, subset_size=size, seed=seed)
    return {"kid": found["value"]}


def local_structure(
    real: RealSide, other: np.ndarray, seed: int, config: EvaluationConfig
) -> dict[str, float]:
    """All that nearest neighbours tell, and `mean_real_distance`, which the structure gap needs."""
    local = compare_neighbourhoods(real.features, other, config.k, real.distances)
    ratio = local.metrics["lid_generated"] / local.metrics["lid_real"]
    return {
        **local.metrics,
        "lid_ratio": ratio,
        "lid_log_ratio": abs(float(np.log(ratio))),
        "mean_real_distance": local.mean_real_distance,
    }


MEASURES: dict[str, MetricFunction] = {
    "fd": frechet,
    "kid": kernel,
    "precision": local_structure,
    "recall": local_structure,
    "density": local_structure,
    "coverage": local_structure,
    "knn_two_sample": local_structure,
    "knn_distance_w1": local_structure,
    "lid_real": local_structure,
    "lid_generated": local_structure,
    "lid_ratio": local_structure,
    "lid_log_ratio": local_structure,
}
"""Metric -> the function that gives it, perhaps with others. Its meaning is in metric_table.py."""


def measure(
    real: RealSide,
    other: np.ndarray,
    seed: int,
    config: EvaluationConfig,
    metrics: Collection[str] | None = None,
) -> dict[str, float]:
    """These metrics (None: all) of `other` features against real ones, each function called once.

    Also holds the numbers that come with them from the same functions.
    """
    wanted = MEASURES if metrics is None else metrics
    found: dict[str, float] = {}
    for function in dict.fromkeys(MEASURES[name] for name in wanted):
        found |= function(real, other, seed, config)
    missing = [name for name in wanted if name not in found]
    assert not missing, f"MEASURES: the function of {missing[0]} gives {', '.join(found)}"
    return found
