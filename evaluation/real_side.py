"""Real features, with what can be computed before it is known what they are compared with."""

from functools import cached_property

import numpy as np

from evaluation.frechet import Gaussian
from evaluation.manifold import neighbour_distances


class RealSide:
    """n real features; what every comparison with them needs is computed once.

    Args:
        features: [n, F].
        k: neighbours.
        distances: `neighbour_distances(features, k)`, if they are known already.
    """

    def __init__(self, features: np.ndarray, k: int, distances: np.ndarray | None = None):
        self.features = features
        self.k = k
        self._distances = distances

    @cached_property
    def distances(self) -> np.ndarray:
        """float64 [n, min(k, n - 1)], ascending: from each feature to its nearest others."""
        if self._distances is not None:
            return self._distances
        return neighbour_distances(self.features, self.k)

    @cached_property
    def gaussian(self) -> Gaussian:
        """The Gaussian with the mean and covariance of the features."""
        return Gaussian.of(self.features)
