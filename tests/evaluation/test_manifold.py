import contextlib
import io

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

import evaluation.manifold
from evaluation.manifold import (
    compare_neighbourhoods,
    intrinsic_dimension,
    neighbour_distances,
    structure_metrics,
)

KEYS = {
    "precision",
    "recall",
    "density",
    "coverage",
    "knn_two_sample",
    "knn_distance_w1",
    "lid_real",
    "lid_generated",
}


def sets(n=130, m=110, f=24, seed=0, scale=0.9, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, f)).astype(dtype), (scale * rng.normal(size=(m, f))).astype(dtype)


def distances(a, b):
    return np.sqrt(((a[:, None].astype(np.float64) - b[None]) ** 2).sum(axis=-1))


@pytest.mark.parametrize("k", [1, 3, 5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_prdc(k, seed):
    prdc = pytest.importorskip("prdc")
    real, generated = sets(seed=seed)
    with contextlib.redirect_stdout(io.StringIO()):
        expected = prdc.compute_prdc(real, generated, nearest_k=k)
    ours = structure_metrics(real, generated, k)
    assert set(ours) == KEYS
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equals_torch_fidelity(k):
    prc = pytest.importorskip("torch_fidelity.metric_prc")
    real, generated = sets(seed=2)
    precision, recall = prc.calculate_precision_recall_full(
        torch.from_numpy(generated).double(), torch.from_numpy(real).double(), k
    )
    ours = structure_metrics(real, generated, k)
    assert ours["precision"] == pytest.approx(precision, abs=1e-6)
    assert ours["recall"] == pytest.approx(recall, abs=1e-6)


def test_two_sample_score_and_distances_equal_brute_force():
    k, (real, generated) = 4, sets(n=40, m=60)
    within = [distances(part, part) for part in (real, generated)]
    for matrix in within:
        np.fill_diagonal(matrix, np.inf)
    cross = distances(real, generated)
    shares = []
    for own, other in ((within[0], cross), (within[1], cross.T)):
        order = np.argsort(np.concatenate([own, other], axis=1), axis=1)[:, :k]
        shares.append((order < own.shape[1]).mean())
    ours = structure_metrics(real, generated, k)
    assert ours["knn_two_sample"] == pytest.approx(np.mean(shares), abs=1e-12)
    nearest = [np.sort(matrix, axis=1)[:, :k] for matrix in within]
    expected = wasserstein_distance(nearest[0][:, -1], nearest[1][:, -1])
    assert ours["knn_distance_w1"] == pytest.approx(expected, rel=1e-9)
    for part, name in zip(nearest, ("lid_real", "lid_generated"), strict=True):
        expected = 1 / np.mean([np.log(t[-1] / t[j]) for t in part for j in range(k - 1)])
        assert ours[name] == pytest.approx(expected, rel=1e-9)
    assert compare_neighbourhoods(real, generated, k).mean_real_distance == pytest.approx(
        nearest[0][:, -1].mean(), rel=1e-9
    )


@pytest.mark.parametrize("limits", [(1, 1), (64, 7), (130 * 50, 33), (1 << 24, 4096)])
def test_blocks_change_nothing(monkeypatch, limits):
    real, generated = sets()
    real[7], generated[3], generated[4] = real[8], real[5], real[5]  # duplicates, ties
    whole = structure_metrics(real, generated, 5)
    monkeypatch.setattr(evaluation.manifold, "MAX_DISTANCES", limits[0])
    monkeypatch.setattr(evaluation.manifold, "CANDIDATES", limits[1])
    assert structure_metrics(real, generated, 5) == pytest.approx(whole, rel=1e-9)


def test_real_against_real_and_against_something_else():
    rng = np.random.default_rng(3)
    real, same, far = rng.normal(size=(3, 600, 8))
    alike = structure_metrics(real, same, 5)
    assert abs(alike["knn_two_sample"] - 0.5) < 0.03
    assert alike["coverage"] > 0.9 and alike["knn_distance_w1"] < 0.1
    other = structure_metrics(real, far + 20, 5)
    assert other["knn_two_sample"] == 1 and other["precision"] == other["coverage"] == 0
    # A shrunken cloud has the mean right and the neighbourhoods wrong.
    shrunk = structure_metrics(real, same * 0.5, 5)
    assert shrunk["knn_distance_w1"] > 0.4 and shrunk["recall"] < 0.5 * alike["recall"]
    assert shrunk["density"] > 1.5


def test_lost_modes_cost_coverage_and_recall():
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(10, 16)) * 5
    real, same = (centres[rng.integers(0, 10, 800)] + rng.normal(size=(800, 16)) for _ in range(2))
    lost = centres[rng.integers(0, 5, 800)] + rng.normal(size=(800, 16))
    full, half = structure_metrics(real, same, 5), structure_metrics(real, lost, 5)
    assert half["coverage"] < 0.6 * full["coverage"] and half["recall"] < 0.7 * full["recall"]
    assert half["precision"] > 0.9 * full["precision"]


@pytest.mark.parametrize("dimension", [2, 5])
def test_intrinsic_dimension_of_a_flat_piece_of_space(dimension):
    rng = np.random.default_rng(5)
    flat = rng.uniform(size=(3000, dimension)) @ rng.normal(size=(dimension, 30))
    metrics = structure_metrics(flat[:1500], flat[1500:], 10)
    assert metrics["lid_real"] == pytest.approx(dimension, rel=0.12)
    assert metrics["lid_generated"] == pytest.approx(dimension, rel=0.12)


def test_copies_of_real_images():
    real, _ = sets(n=100)
    metrics = structure_metrics(real, real, 5)
    assert metrics["precision"] == metrics["recall"] == metrics["coverage"] == 1
    assert metrics["knn_distance_w1"] == 0 and metrics["lid_real"] == metrics["lid_generated"]
    # The copy of an image is its nearest, the copies of its neighbours tie with them: 2 of 5.
    assert metrics["knn_two_sample"] == pytest.approx(0.4)


def test_one_image_over_and_over():
    real, _ = sets(n=50)
    metrics = structure_metrics(real, np.tile(real[:1], (50, 1)), 5)
    assert metrics["precision"] == 1 and metrics["coverage"] < 0.4
    assert np.isnan(metrics["lid_generated"]) and np.isfinite(metrics["lid_real"])
    constant = structure_metrics(np.ones((9, 4)), np.ones((9, 4)), 3)
    assert constant["knn_two_sample"] == 0.5 and constant["recall"] == 1
    assert np.isnan(intrinsic_dimension(np.zeros((4, 3))))


def test_tiny_sets_and_large_offsets():
    real, generated = sets(n=2, m=3)
    assert compare_neighbourhoods(real, generated, 5).k == 1
    real, generated = sets(dtype=np.float64)
    moved = structure_metrics(real + 1e4, generated + 1e4, 5)
    assert moved == pytest.approx(structure_metrics(real, generated, 5), rel=1e-6)


@pytest.mark.parametrize("offset", [0, 100])
def test_known_distances_of_the_real_side_change_nothing(offset):
    real, generated = sets()
    real[7] = real[8]
    known = neighbour_distances(real, 7)
    assert known.shape == (130, 7) and (np.diff(known) >= 0).all() and known[7, 0] == 0
    matrix = distances(real, real)
    np.fill_diagonal(matrix, np.inf)
    np.testing.assert_allclose(known, np.sort(matrix, axis=1)[:, :7], rtol=1e-9)
    for k in (2, 5, 7):
        expected = compare_neighbourhoods(real, generated + offset, k)
        assert compare_neighbourhoods(real, generated + offset, k, known) == expected
    few = compare_neighbourhoods(real, generated[:4], 5)
    assert compare_neighbourhoods(real, generated[:4], 5, known) == few and few.k == 3
    assert neighbour_distances(real[:3], 5).shape == (3, 2)


def test_distances_of_another_set_are_an_error():
    real, generated = sets()
    for wrong in (neighbour_distances(real[:50], 5), neighbour_distances(real, 3)):
        with pytest.raises(ValueError, match="not those of 130 real features to 5 neighbours"):
            structure_metrics(real, generated, 5, wrong)
    with pytest.raises(ValueError, match="at least 2 images"):
        neighbour_distances(real[:1], 5)
    with pytest.raises(ValueError, match="k must be"):
        neighbour_distances(real, 0)


def test_inputs():
    real, generated = sets()
    expected = structure_metrics(real, generated, 3)
    tensors = torch.from_numpy(real).requires_grad_(), torch.from_numpy(generated)
    assert structure_metrics(*tensors, 3) == expected
    with pytest.raises(ValueError, match="at least 2 images"):
        structure_metrics(real[:1], generated, 3)
    with pytest.raises(ValueError, match="differ in size"):
        structure_metrics(real, generated[:, :5], 3)
    with pytest.raises(ValueError, match="generated features hold NaN"):
        structure_metrics(real, np.full_like(generated, np.nan), 3)
    with pytest.raises(ValueError, match="k must be"):
        structure_metrics(real, generated, 0)
