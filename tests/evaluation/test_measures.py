"""The functions behind the metrics of features."""

import numpy as np
import pytest

from evaluation import measures
from evaluation.config import EvaluationConfig
from evaluation.frechet import frechet_from_features
from evaluation.kid import kernel_distance
from evaluation.manifold import compare_neighbourhoods
from evaluation.measures import MEASURES, measure
from evaluation.metric_table import METRICS
from evaluation.real_side import RealSide

CONFIG = EvaluationConfig(k=3, kid_subsets=7, kid_subset_size=20)
NOT_OF_FEATURES = {"structure_gap", "conditional_accuracy", "fd_train_full"}
NOT_OF_FEATURES |= {"kid_reconstruction", "fd_reconstruction", "reconstruction_psnr"}
NOT_OF_FEATURES |= {"fairness_discrepancy", "fairness_discrepancy_uncorrected"}  # of shares
NOT_OF_FEATURES |= {"share_error", "target_kid"}
NOT_OF_FEATURES |= {"copy_ratio"}  # of three sets


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    real, other = rng.normal(size=(60, 4)), rng.normal(0.5, 2.0, size=(60, 4))
    return RealSide(real, CONFIG.k), other


def test_every_metric_of_the_table_is_measured_and_the_reverse():
    assert set(MEASURES) == METRICS.keys() - NOT_OF_FEATURES


def test_numbers_are_those_of_the_functions_with_these_settings(sets):
    found = measure(*sets, 5, CONFIG)
    pair = (sets[0].features, sets[1])
    assert found["fd"] == frechet_from_features(*pair)
    kid = kernel_distance(*pair, subsets=7, subset_size=20, seed=5)
    assert found["kid"] == kid["value"] != measure(*sets, 6, CONFIG)["kid"]
    local = compare_neighbourhoods(*pair, 3)
    assert local.metrics.items() <= found.items()
    assert found["mean_real_distance"] == local.mean_real_distance
    ratio = local.metrics["lid_generated"] / local.metrics["lid_real"]
    assert found["lid_ratio"] == ratio and found["lid_log_ratio"] == abs(np.log(ratio))


def test_each_function_is_called_once_and_only_where_it_is_asked(sets, monkeypatch):
    calls = []

    def twins(real, other, seed, config):
        calls.append(seed)
        return {"one": 1.0, "two": 2.0}

    for name in ("one", "two"):
        monkeypatch.setitem(measures.MEASURES, name, twins)
    assert measure(*sets, 4, CONFIG, ["two", "one"]) == {"one": 1.0, "two": 2.0}
    assert (
        measure(*sets, 9, CONFIG, ["fd"]).keys() == {"fd"} and measure(*sets, 9, CONFIG, []) == {}
    )
    measure(*sets, 8, CONFIG)
    assert calls == [4, 8]
    monkeypatch.setitem(measures.MEASURES, "three", twins)
    with pytest.raises(AssertionError, match="the function of three gives one, two"):
        measure(*sets, 0, CONFIG, ["three"])
