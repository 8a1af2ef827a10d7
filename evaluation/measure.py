"""All distances between one set of real features and others of the same size."""

from functools import cached_property

import numpy as np

from evaluation.config import EvaluationConfig
from evaluation.frechet import Gaussian
from evaluation.kid import kernel_distance
from evaluation.manifold import compare_neighbourhoods, neighbour_distances


class RealSide:
    """n real features, with all that does not depend on what they are compared with.

    Args:
        features: float32 [n, F].
        k: neighbours.
        distances: `neighbour_distances(features, k)`, where they are known already.
    """

    def __init__(self, features: np.ndarray, k: int, distances: np.ndarray | None = None):
        self.features = features
        self.k = k
        self.distances = neighbour_distances(features, k) if distances is None else distances

    @cached_property
    def gaussian(self) -> Gaussian:
        return Gaussian.of(self.features)


def measure(
    real: RealSide, other: np.ndarray, seed: int, config: EvaluationConfig
) -> dict[str, float]:
    """All metrics of n features against n real ones; `seed` draws the subsets of KID."""
    kid = kernel_distance(
        real.features,
        other,
        subsets=config.kid_subsets,
        subset_size=config.kid_subset_size,
        seed=seed,
    )
    local = compare_neighbourhoods(real.features, other, real.k, real.distances)
    ratio = local.metrics["lid_generated"] / local.metrics["lid_real"]
    return {
        "fd": real.gaussian.distance(Gaussian.of(other)),
        "kid": kid["value"],
        **local.metrics,
        "lid_ratio": ratio,
        "lid_log_ratio": abs(float(np.log(ratio))),
        "mean_real_distance": local.mean_real_distance,
    }
