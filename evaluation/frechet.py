"""Frechet distance between Gaussians fitted to two sets of features."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike


def frechet_distance(mean1: ArrayLike, cov1: ArrayLike, mean2: ArrayLike, cov2: ArrayLike) -> float:
    """Squared Frechet (2-Wasserstein) distance of N(mean1, cov1) and N(mean2, cov2), in float64.

    |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)            (Dowson and Landau, 1982)

    With C = A^T A the last trace is the sum of the singular values of A1 A2^T. Unlike a matrix
    square root this is well-conditioned for covariances of any rank, and never complex.

    Args:
        mean1, mean2: [F].
        cov1, cov2: [F, F], symmetric and positive semi-definite up to rounding.

    Returns:
        At least 0. Raises ValueError on shapes that do not match or numbers that are not finite.
    """
    mean1, mean2 = (np.atleast_1d(_float64(mean)) for mean in (mean1, mean2))
    cov1, cov2 = (np.atleast_2d(_float64(cov)) for cov in (cov1, cov2))
    f = mean1.shape[0]
    if mean1.shape != mean2.shape or not cov1.shape == cov2.shape == (f, f):
        raise ValueError(
            f"frechet_distance: shapes do not match: means {mean1.shape} and {mean2.shape}, "
            f"covariances {cov1.shape} and {cov2.shape}"
        )
    if not all(np.isfinite(part).all() for part in (mean1, mean2, cov1, cov2)):
        raise ValueError("frechet_distance: means or covariances hold NaN or infinity")
    return Gaussian(mean1, _root(cov1)).distance(Gaussian(mean2, _root(cov2)))


def frechet_from_features(features1: ArrayLike, features2: ArrayLike) -> float:
    """Frechet distance of two feature sets [N1, F] and [N2, F], cheap where N is below F."""
    return Gaussian.of(features1).distance(Gaussian.of(features2))


@dataclass(frozen=True)
class Gaussian:
    """One side of a Frechet distance, to be compared with several others."""

    mean: np.ndarray
    """float64 [F]."""
    root: np.ndarray
    """float64 A [rank, F] with covariance A^T A."""

    @classmethod
    def of(cls, features: ArrayLike) -> "Gaussian":
        """Fitted to features [N, F]. Raises ValueError if any is not finite."""
        features = np.asarray(features)
        if not np.isfinite(features).all():
            raise ValueError("frechet_from_features: features hold NaN or infinity")
        if len(features) <= features.shape[1]:
            # The scaled centred features are a root of their covariance: no [F, F] is needed.
            mean = features.mean(axis=0, dtype=np.float64)
            return cls(mean, (features - mean) / np.sqrt(max(len(features) - 1, 1)))
        mean, cov = feature_statistics(features)
        return cls(mean, _root(cov))

    def distance(self, other: "Gaussian") -> float:
        """Squared Frechet distance, at least 0."""
        # torch's LAPACK takes a quarter of numpy's time for singular values, and is as exact.
        product = torch.from_numpy(self.root @ other.root.T)
        cross = float(torch.linalg.svdvals(product).sum())
        traces = (self.root**2).sum() + (other.root**2).sum()
        return float(max(((self.mean - other.mean) ** 2).sum() + traces - 2 * cross, 0.0))


def feature_statistics(features: ArrayLike, chunk: int = 8192) -> tuple[np.ndarray, np.ndarray]:
    """Mean [F] and unbiased covariance [F, F] in float64 of features [N, F] (zeros for N = 1)."""
    features = np.asarray(features)
    if features.ndim != 2 or len(features) == 0:
        raise ValueError(f"feature_statistics: features must be [N >= 1, F], got {features.shape}")
    mean = features.mean(axis=0, dtype=np.float64)
    cov = np.zeros((features.shape[1],) * 2)
    for start in range(0, len(features), chunk):
        centred = features[start : start + chunk] - mean
        cov += centred.T @ centred
    return mean, cov / max(len(features) - 1, 1)


def _root(cov: np.ndarray) -> np.ndarray:
    """A [rank, F] with A^T A = cov; eigenvalues that are only rounding are dropped.

    Where no eigenvalue is near rounding, a Cholesky factor is a root too, at a seventh of the time.
    """
    symmetric = torch.from_numpy((cov + cov.T) / 2)
    rounding = len(cov) * np.finfo(np.float64).eps
    factor, failed = torch.linalg.cholesky_ex(symmetric)
    least = factor.diagonal().square().min() if len(cov) else torch.tensor(0.0)
    if not failed and least > CLEAR_OF_ROUNDING * rounding * symmetric.norm():
        return factor.T.numpy()
    values, axes = torch.linalg.eigh(symmetric)
    keep = values > values.max().clamp_min(0) * rounding
    return (values[keep].sqrt()[:, None] * axes[:, keep].T).numpy()


CLEAR_OF_ROUNDING = 10.0
"""How far above rounding the least pivot must lie for a Cholesky factor to be taken."""


def _float64(array: ArrayLike) -> np.ndarray:
    if hasattr(array, "detach"):  # a tensor
        array = array.detach().cpu()
    return np.asarray(array, np.float64)
