"""Judging generated images by wanted shares: right shares, wrong ones, and broken images."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evaluation.config import EvaluationConfig
from evaluation.fairness.judged import mixed_rows
from evaluation.fairness.wanted import wanted_shares
from evaluation.judge import judge
from evaluation.reference import load_reference

CONFIG = EvaluationConfig(floor_draws=6, kid_subsets=10, kid_subset_size=40)
TARGET = {"0": 0.5, "1": 0.25, "7": 0.25}


@pytest.fixture(scope="module")
def named(digits):
    digits.group_names = [str(number) for number in range(10)]
    return digits


@pytest.fixture(scope="module")
def reference(digits_reference):
    return load_reference(digits_reference[0])


@pytest.fixture(scope="module")
def wanted(named, reference):
    return wanted_shares(TARGET, named, reference)


def images_with(digits, shares, seed=0):
    """About 200 training images whose classes have these shares."""
    labels = digits.labels[digits.train_indices]
    rows = mixed_rows(labels, np.array(shares), 200, np.random.default_rng(seed))
    return digits.images[digits.train_indices[rows]]


def shares_of(**found):
    return [found.get(f"c{number}", 0.0) for number in range(10)]


def judged(images, reference, wanted):
    return judge(images, None, reference, CONFIG, seed=0, wanted=wanted)


def test_images_with_the_wanted_shares_are_at_the_floor(named, reference, wanted):
    images = images_with(named, shares_of(c0=0.5, c1=0.25, c7=0.25))
    result = judged(images, reference, wanted)
    metrics = result["metrics"]
    assert metrics["fairness_discrepancy"]["value"] < 0.03
    assert 0 < metrics["fairness_discrepancy"]["floor"] < 0.08
    far = metrics["target_kid"]["value"] - metrics["target_kid"]["floor"]
    assert abs(far) < 3 * metrics["target_kid"]["floor_std"]
    assert result["shares"]["0"]["wanted"] == 0.5
    assert result["shares"]["0"]["found"] == pytest.approx(0.5, abs=0.03)
    assert result["protocol"]["target"] == "0 0.5, 1 0.25, 7 0.25"


def test_wrong_shares_are_seen_in_both(named, reference, wanted):
    images = images_with(named, shares_of(c0=0.9, c1=0.1))
    metrics = judged(images, reference, wanted)["metrics"]
    exact = np.linalg.norm([0.4, -0.15, -0.25])
    assert metrics["fairness_discrepancy"]["value"] == pytest.approx(exact, abs=0.04)
    assert metrics["share_error"]["value"] == pytest.approx(0.4, abs=0.03)
    floor = metrics["target_kid"]["floor"]
    assert metrics["target_kid"]["value"] > floor + 5 * metrics["target_kid"]["floor_std"]


def test_right_shares_of_broken_images_raise_kid_alone(named, reference, wanted):
    images = images_with(named, shares_of(c0=0.5, c1=0.25, c7=0.25))
    broken = gaussian_filter(images.astype(float), (0, 0.5, 0.5, 0)).astype(np.uint8)
    metrics = judged(broken, reference, wanted)["metrics"]
    assert metrics["fairness_discrepancy"]["value"] < 0.15
    floor = metrics["target_kid"]["floor"]
    assert metrics["target_kid"]["value"] > floor + 5 * metrics["target_kid"]["floor_std"]


def test_without_a_target_nothing_changes(named, reference, wanted):
    images = images_with(named, shares_of(c0=0.5, c1=0.5))
    plain = judge(images, None, reference, CONFIG, seed=0)
    told = judged(images, reference, wanted)
    assert "shares" not in plain and "target" not in plain["protocol"]
    for name, entry in plain["metrics"].items():
        assert told["metrics"][name] == entry


def test_what_cannot_be_judged_is_refused(named, reference):
    with pytest.raises(ValueError, match=r"evaluation.target: class 'one'"):
        wanted_shares({"one": 1.0}, named, reference)
    few = reference.held_out_indices[named.labels[reference.held_out_indices] != 3]
    without = replace(reference, held_out_indices=few)
    with pytest.raises(ValueError, match="class '3' has 0 held-out images"):
        wanted_shares({"3": 1.0}, named, without)
    with pytest.raises(ValueError, match="have no classes"):
        wanted_shares({"3": 1.0}, named, replace(reference, classifier=None))


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="add up to"):
        EvaluationConfig(target={"a": 0.5, "b": 0.4})


def test_mixed_rows_have_the_shares_that_are_asked_for():
    classes = np.repeat([0, 1, 2], [100, 20, 50])
    rows = mixed_rows(classes, np.array([0.5, 0.5, 0.0]), 1000, np.random.default_rng(0))
    assert np.bincount(classes[rows]).tolist() == [20, 20]
    assert len(np.unique(rows)) == len(rows)
