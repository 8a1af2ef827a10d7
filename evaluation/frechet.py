"""Frechet distance between Gaussians fitted to two sets of features."""

import numpy as np
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
    return _distance(mean1, _root(cov1), mean2, _root(cov2))


def frechet_from_features(features1: ArrayLike, features2: ArrayLike) -> float:
    """Frechet distance of two feature sets [N1, F] and [N2, F]; cheap if N is below F."""
    parts = []
    for features in (features1, features2):
        features = np.asarray(features)
        if not np.isfinite(features).all():
            raise ValueError("frechet_from_features: features hold NaN or infinity")
        if len(features) <= features.shape[1]:
            # The scaled centred features are a root of their covariance: no [F, F] is needed.
            mean = features.mean(axis=0, dtype=np.float64)
            root = (features - mean) / np.sqrt(max(len(features) - 1, 1))
        else:
            mean, cov = feature_statistics(features)
            root = _root(cov)
        parts += [mean, root]
    return _distance(*parts)


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


def _distance(mean1: np.ndarray, root1: np.ndarray, mean2: np.ndarray, root2: np.ndarray) -> float:
    """Squared distance from means [F] and roots A [rank, F] of covariances C = A^T A."""
    cross = np.linalg.svd(root1 @ root2.T, compute_uv=False).sum()
    squared = ((mean1 - mean2) ** 2).sum() + (root1**2).sum() + (root2**2).sum() - 2 * cross
    return float(max(squared, 0.0))


def _root(cov: np.ndarray) -> np.ndarray:
    """A [rank, F] with A^T A = cov; eigenvalues that are only rounding are dropped."""
    values, axes = np.linalg.eigh((cov + cov.T) / 2)
    keep = values > values.max(initial=0.0) * len(values) * np.finfo(np.float64).eps
    return np.sqrt(values[keep])[:, None] * axes[:, keep].T


def _float64(array: ArrayLike) -> np.ndarray:
    if hasattr(array, "detach"):  # a tensor
        array = array.detach().cpu()
    return np.asarray(array, np.float64)
