"""Features against features: two folders, or a folder and a stored reference."""

import numpy as np
import pytest

from evaluation.config import EvaluationConfig
from evaluation.folders.judge_features import judge_against_reference, judge_features
from evaluation.frechet import frechet_from_features
from evaluation.judge import judge
from evaluation.reference import load_reference

CONFIG = EvaluationConfig(floor_draws=5, kid_subsets=10, kid_subset_size=40, k=3)


def test_the_same_distribution_is_at_the_floor_and_another_is_not():
    rng = np.random.default_rng(0)
    real, same, other = (rng.normal(size=(n, 6)).astype(np.float32) for n in (301, 200, 200))
    other[:100] = other[0] * 0.2
    told = []
    alike = judge_features(same, real, CONFIG, 0, lambda *step: told.append(step))
    apart = judge_features(other, real, CONFIG, 0)
    assert told == [(i, 5) for i in range(1, 6)]
    assert (alike["n"], alike["num_generated"], alike["num_real"]) == (150, 200, 301)
    for name in ("fd", "kid", "coverage", "recall", "structure_gap"):
        metric = alike["metrics"][name]
        assert abs(metric["value"] - metric["floor"]) < 5 * metric["floor_std"], name
        assert metric["floor"] == apart["metrics"][name]["floor"], "the same real images"
    assert apart["metrics"]["structure_gap"]["resolvable"]
    assert not alike["metrics"]["structure_gap"]["resolvable"]
    expected = frechet_from_features(real, same)
    assert alike["metrics"]["fd_full"]["value"] == pytest.approx(expected, rel=1e-5)
    assert judge_features(same, real, CONFIG, 0) == alike != judge_features(same, real, CONFIG, 1)


def test_a_floor_shares_no_image_between_its_sides():
    """Where the same images stood on both sides, the floor of the distance would be 0."""
    real = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    found = judge_features(real, real, CONFIG, 0)
    assert found["n"] == 4 and found["metrics"]["knn_distance_w1"]["floor"] > 0
    assert found["metrics"]["fd_full"]["value"] == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="1 generated and 8 real images: at least 2 and 4"):
        judge_features(real[:1], real, CONFIG, 0)


def test_against_a_reference_the_numbers_are_those_of_the_stage(digits, digits_reference):
    reference = load_reference(digits_reference[0])
    images = digits.images[digits.train_indices[:150]]
    features = reference.extractor.features(images)
    told = []
    found = judge_against_reference(features, reference, CONFIG, 3, lambda *step: told.append(step))
    expected = judge(images, None, reference, CONFIG, 3)
    assert found["metrics"] == expected["metrics"] and found["n"] == expected["n"]
    assert told == [(i, 10) for i in range(1, 11)]
