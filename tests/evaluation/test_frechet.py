import warnings

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

import evaluation.frechet
from evaluation.frechet import (
    Gaussian,
    feature_statistics,
    frechet_distance,
    frechet_from_features,
)


def random_cov(rng, f, rank=None):
    root = rng.normal(size=(rank or f, f))
    return root.T @ root / len(root)


def test_closed_form_of_isotropic_gaussians():
    """F (s1 - s2)^2 + |m1 - m2|^2."""
    f = 12
    value = frechet_distance(np.zeros(f), 4 * np.eye(f), np.full(f, 0.5), 9 * np.eye(f))
    assert value == pytest.approx(f * 1.0 + f * 0.25, rel=1e-12)


def test_closed_form_of_commuting_covariances():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(9, 9)))
    a, b = rng.uniform(0, 3, size=(2, 9))
    value = frechet_distance(
        np.zeros(9), axes @ np.diag(a) @ axes.T, np.zeros(9), axes @ np.diag(b) @ axes.T
    )
    assert value == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-10)


def test_equals_the_matrix_square_root():
    rng = np.random.default_rng(1)
    for f in (1, 2, 30):
        m1, m2 = rng.normal(size=(2, f))
        c1, c2 = random_cov(rng, f, f + 5), random_cov(rng, f, f + 5)
        root = np.real(sqrtm(c1 @ c2))
        expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
        assert frechet_distance(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-8)


def test_equals_cleanfid():
    fid = pytest.importorskip("cleanfid.fid")
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(200, 20)), rng.normal(size=(150, 20)) * 1.2 + 0.3
    stats = [*feature_statistics(a), *feature_statistics(b)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, about sqrtm(disp=)
        expected = fid.frechet_distance(*stats)
    assert frechet_distance(*stats) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("rank1, rank2", [(1, 1), (3, 40), (5, 2)])
def test_rank_deficient_covariances_are_exact(rank1, rank2):
    """Against the singular values of the two roots, which need no square root of a product."""
    rng = np.random.default_rng(rank1)
    r1, r2 = rng.normal(size=(rank1, 40)), rng.normal(size=(rank2, 40))
    expected = (r1**2).sum() + (r2**2).sum() - 2 * np.linalg.norm(r1 @ r2.T, "nuc")
    value = frechet_distance(np.zeros(40), r1.T @ r1, np.zeros(40), r2.T @ r2)
    assert value == pytest.approx(expected, rel=1e-10)


def by_eigenvalues(mean1, cov1, mean2, cov2):
    """Both roots from eigenvalues, those that are rounding dropped; numpy's singular values."""
    roots = []
    for cov in (cov1, cov2):
        values, axes = np.linalg.eigh((cov + cov.T) / 2)
        keep = values > values.max(initial=0) * len(values) * np.finfo(float).eps
        roots.append(np.sqrt(values[keep])[:, None] * axes[:, keep].T)
    cross = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    traces = (roots[0] ** 2).sum() + (roots[1] ** 2).sum()
    return ((mean1 - mean2) ** 2).sum() + traces - 2 * cross


F = 60


def decaying(rng, power, n=3 * F):
    """A covariance whose eigenvalues fall like i^-2power, along random axes."""
    axes, _ = np.linalg.qr(rng.normal(size=(F, F)))
    samples = rng.normal(size=(n, F)) * np.arange(1.0, F + 1) ** -power @ axes
    return samples.T @ samples / n


def pairs(rng):
    common = 30 * rng.normal(size=(F // 2, 1)) + rng.normal(size=(F // 2, F))
    first = np.arange(F) < F // 2
    cov = random_cov(rng, F, 2 * F)
    return {
        "random": (cov, random_cov(rng, F, 2 * F)),
        "close": (cov, cov + 1e-4 * random_cov(rng, F, 2 * F)),
        "as many as features": (random_cov(rng, F, F), random_cov(rng, F, F)),
        "rank one short": (random_cov(rng, F, F - 1), random_cov(rng, F, F + 1)),
        "both deficient": (random_cov(rng, F, 20), random_cov(rng, F, 30)),
        "one deficient": (random_cov(rng, F, 20), random_cov(rng, F, 2 * F)),
        "one deficient, close": (random_cov(rng, F, 20) + 1e-9 * cov, random_cov(rng, F, 20)),
        "rank one": (random_cov(rng, F, 1), cov),
        "zero": (np.zeros((F, F)), cov),
        "disjoint supports": (np.diag(1.0 * first), np.diag(2.0 * ~first)),
        "dead features": (cov * np.outer(first, first), random_cov(rng, F, 2 * F)),
        "decaying": (decaying(rng, 2), decaying(rng, 2)),
        "decaying to rounding": (decaying(rng, 6), decaying(rng, 6)),
        "decaying and flat": (decaying(rng, 6), cov),
        "one common direction": (common.T @ common / len(common), cov),
        "tiny": (1e-200 * random_cov(rng, F, 2 * F), 1e-200 * random_cov(rng, F, 20)),
        "huge": (1e150 * random_cov(rng, F, 2 * F), 1e150 * random_cov(rng, F, 20)),
        "scales apart": (1e-12 * random_cov(rng, F, 2 * F), random_cov(rng, F, 20)),
    }


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", pairs(np.random.default_rng(0)))
def test_equals_roots_from_eigenvalues(name, seed):
    rng = np.random.default_rng(seed)
    cov1, cov2 = pairs(rng)[name]
    still = np.zeros(F)
    expected = by_eigenvalues(still, cov1, still, cov2)
    assert frechet_distance(still, cov1, still, cov2) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(still, cov2, still, cov1) == pytest.approx(expected, rel=1e-9)
    size = np.trace(cov1)
    assert 0 <= frechet_distance(still, cov1, still, cov1) <= 1e-9 * size


def test_a_pivot_that_is_rounding_is_no_rank():
    """One eigenvalue is 0, so rounding alone decides whether Cholesky fails or gets past it."""
    still = np.zeros(F)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        cov1, cov2 = random_cov(rng, F, F - 1), random_cov(rng, F, 3 * F)
        expected = by_eigenvalues(still, cov1, still, cov2)
        assert frechet_distance(still, cov1, still, cov2) == pytest.approx(expected, rel=1e-11)


def test_eigenvalues_are_only_asked_for_where_some_may_be_rounding(monkeypatch):
    """They take seven times as long as a Cholesky factor."""
    asked = []
    eigh = torch.linalg.eigh
    monkeypatch.setattr(
        evaluation.frechet.torch.linalg, "eigh", lambda cov: asked.append(len(cov)) or eigh(cov)
    )
    covs = pairs(np.random.default_rng(0))
    still = np.zeros(F)
    frechet_distance(still, covs["decaying"][0], still, covs["random"][0])
    assert asked == []
    frechet_distance(still, covs["both deficient"][0], still, covs["decaying to rounding"][0])
    assert asked == [F, F]


@pytest.mark.parametrize("n1, n2", [(10, 8), (10, 40), (40, 40)])
def test_one_side_serves_several_comparisons(n1, n2):
    rng = np.random.default_rng(7)
    real, *others = rng.normal(size=(n1, 16)), rng.normal(size=(n2, 16)), rng.normal(size=(n2, 16))
    side = Gaussian.of(real)
    for other in others:
        assert side.distance(Gaussian.of(other)) == frechet_from_features(real, other)


@pytest.mark.parametrize("rank", [1, 7, 50])
def test_a_distribution_is_at_distance_zero_from_itself(rank):
    cov = random_cov(np.random.default_rng(3), 50, rank)
    assert 0 <= frechet_distance(np.ones(50), cov, np.ones(50), cov) < 1e-9 * np.trace(cov)
    zero = np.zeros((50, 50))
    assert frechet_distance(np.ones(50), zero, np.ones(50), zero) == 0


def test_symmetric_and_tensors_are_welcome():
    rng = np.random.default_rng(4)
    m1, m2 = rng.normal(size=(2, 8))
    c1, c2 = random_cov(rng, 8), random_cov(rng, 8, 3)
    forward = frechet_distance(m1, c1, m2, c2)
    assert frechet_distance(m2, c2, m1, c1) == pytest.approx(forward, rel=1e-10)
    tensors = [torch.from_numpy(part).requires_grad_() for part in (m1, c1, m2, c2)]
    assert frechet_distance(*tensors) == forward


@pytest.mark.parametrize("n1, n2", [(5, 4), (300, 4), (300, 200), (2, 2), (1, 1), (17, 16)])
def test_from_features_equals_from_statistics(n1, n2):
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(n1, 16)).astype(np.float32), rng.normal(size=(n2, 16)) + 0.2
    expected = frechet_distance(*feature_statistics(a), *feature_statistics(b))
    assert frechet_from_features(a, b) == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_statistics_equal_numpy_in_any_chunk():
    x = np.random.default_rng(6).normal(3, 2, size=(70, 5)).astype(np.float32)
    for chunk in (1, 16, 70, 1000):
        mean, cov = feature_statistics(x, chunk)
        np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(cov, np.cov(x.astype(np.float64), rowvar=False), rtol=1e-10)


def test_errors():
    eye = np.eye(3)
    with pytest.raises(ValueError, match="shapes do not match"):
        frechet_distance(np.zeros(3), eye, np.zeros(4), np.eye(4))
    with pytest.raises(ValueError, match="NaN or infinity"):
        frechet_distance(np.zeros(3), eye, np.full(3, np.nan), eye)
    with pytest.raises(ValueError, match="NaN or infinity"):
        frechet_from_features(np.full((2, 3), np.inf), np.zeros((2, 3)))
