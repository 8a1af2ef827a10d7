import warnings

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from evaluation.frechet import feature_statistics, frechet_distance, frechet_from_features


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
