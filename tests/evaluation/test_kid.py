import numpy as np
import pytest

from evaluation.kid import kernel_distance


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 12)).astype(np.float32), rng.normal(0.3, 1.1, size=(60, 12))


def test_equals_torch_fidelity_on_whole_sets(pair):
    metric_kid = pytest.importorskip("torch_fidelity.metric_kid")
    expected = metric_kid.kernel_mmd(
        pair[0].astype(np.float64),
        pair[1],
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
    )
    ours = kernel_distance(*pair, subsets=3, subset_size=60)
    assert ours["value"] == pytest.approx(expected, rel=1e-10)
    assert ours["std"] == pytest.approx(0, abs=1e-12) and ours["subset_size"] == 60


def test_equals_cleanfid_on_whole_sets(pair):
    fid = pytest.importorskip("cleanfid.fid")
    expected = fid.kernel_distance(pair[0].astype(np.float64), pair[1], num_subsets=1)
    assert kernel_distance(*pair, subset_size=1000)["value"] == pytest.approx(expected, rel=1e-9)


def test_unbiased_on_equal_distributions_and_positive_on_others():
    rng = np.random.default_rng(1)
    same = [
        kernel_distance(*rng.normal(size=(2, 50, 6)), subsets=5, subset_size=30, seed=i)["value"]
        for i in range(60)
    ]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(60)
    apart = kernel_distance(
        rng.normal(size=(50, 6)), rng.normal(1, 1, size=(50, 6)), subset_size=30
    )
    assert apart["value"] > 10 * np.std(same)


def test_seeded_and_deaf_to_the_global_generator(pair):
    first = kernel_distance(*pair, subset_size=20, seed=3)
    np.random.seed(99)
    assert kernel_distance(*pair, subset_size=20, seed=3) == first
    assert kernel_distance(*pair, subset_size=20, seed=4) != first


def test_small_sets_shrink_the_subsets(pair):
    assert kernel_distance(pair[0][:7], pair[1], subset_size=100)["subset_size"] == 7
    with pytest.raises(ValueError, match="at least 2"):
        kernel_distance(pair[0][:1], pair[1])
    with pytest.raises(ValueError, match="sizes differ"):
        kernel_distance(pair[0], pair[1][:, :3])
