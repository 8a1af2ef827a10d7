import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evaluation.config import EvaluationConfig
from evaluation.judge import FEATURES, MEASUREMENTS, judge
from evaluation.reference import load_reference

CONFIG = EvaluationConfig(floor_draws=6, kid_subsets=10, kid_subset_size=60)
WITH_FLOOR = {
    "fd",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "knn_two_sample",
    "knn_distance_w1",
    "lid_ratio",
    "structure_gap",
}


@pytest.fixture(scope="module")
def reference(digits_reference):
    return load_reference(digits_reference[0])


@pytest.fixture(scope="module")
def train(digits):
    return digits.images[digits.train_indices], digits.labels[digits.train_indices]


def above_floor(metric):
    """Floor standard deviations above the floor."""
    return (metric["value"] - metric["floor"]) / metric["floor_std"]


def test_real_images_are_at_the_floor_of_every_metric(train, reference):
    result = judge(*train, reference, CONFIG, seed=0)
    metrics = result["metrics"]
    assert set(metrics) >= WITH_FLOOR | {"conditional_accuracy", "fd_train_full"}
    for name in WITH_FLOOR:
        assert metrics[name]["value"] == pytest.approx(metrics[name]["floor"], rel=1e-5), name
        assert metrics[name]["floor_std"] > 0
    for name in ("fd", "kid", "coverage"):  # both are deviations over the same draws
        assert metrics[name]["std"] == pytest.approx(metrics[name]["floor_std"], rel=1e-4), name
    assert not metrics["structure_gap"]["resolvable"]
    assert metrics["fd_train_full"]["value"] == pytest.approx(0, abs=1e-6)
    assert metrics["conditional_accuracy"]["value"] > 0.97
    assert metrics["conditional_accuracy"]["floor"] > 0.97
    assert result["n"] == 200 and result["metric_name"] == "FD-Classifier"
    json.dumps(result, allow_nan=False)


def test_blur_is_seen(train, reference):
    blurred = gaussian_filter(train[0].astype(float), (0, 0.6, 0.6, 0)).astype(np.uint8)
    metrics = judge(blurred, train[1], reference, CONFIG, seed=0)["metrics"]
    assert above_floor(metrics["fd"]) > 4 and above_floor(metrics["kid"]) > 4
    assert metrics["structure_gap"]["resolvable"]


def test_lost_modes_are_seen(train, reference):
    few = np.flatnonzero(train[1] < 4)
    metrics = judge(train[0][few], train[1][few], reference, CONFIG, seed=0)["metrics"]
    assert metrics["coverage"]["value"] < 0.6 * metrics["coverage"]["floor"]
    assert metrics["recall"]["value"] < 0.7 * metrics["recall"]["floor"]
    assert metrics["precision"]["value"] > 0.9 * metrics["precision"]["floor"]
    assert above_floor(metrics["fd"]) > 4 and metrics["structure_gap"]["resolvable"]


def test_wrong_labels_are_seen_and_missing_ones_left_out(train, reference):
    wrong = (train[1] + 1) % 10
    assert (
        judge(train[0], wrong, reference, CONFIG, 0)["metrics"]["conditional_accuracy"]["value"]
        < 0.05
    )
    assert "conditional_accuracy" not in judge(train[0], None, reference, CONFIG, 0)["metrics"]


def test_same_seed_same_numbers(train, reference):
    part = train[0][:150], train[1][:150]
    first = judge(*part, reference, CONFIG, seed=1)
    assert judge(*part, reference, CONFIG, seed=1) == first
    assert judge(*part, reference, CONFIG, seed=2)["metrics"]["fd"] != first["metrics"]["fd"]
    assert first["n"] == 150


def test_very_few_images(train, reference):
    told = []
    result = judge(
        train[0][:3], train[1][:3], reference, CONFIG, 0, lambda *step: told.append(step)
    )
    assert result["n"] == 3 and result["protocol"]["k"] == 2
    assert len(result["protocol"]["notes"]) == 3
    json.dumps(result, allow_nan=False)
    draws = 2 * CONFIG.floor_draws
    assert told == [(FEATURES, 3, 3), *((MEASUREMENTS, n + 1, draws) for n in range(draws))]


def test_one_image_over_and_over(train, reference):
    collapsed = np.repeat(train[0][:1], 120, axis=0)
    result = judge(collapsed, None, reference, CONFIG, seed=0)
    json.dumps(result, allow_nan=False)
    metrics = result["metrics"]
    assert metrics["lid_ratio"]["value"] is None and metrics["structure_gap"]["resolvable"]
    assert metrics["coverage"]["value"] < 0.3


def test_protocol_names_what_changes_a_number(train, reference):
    protocol = judge(train[0][:80], None, reference, CONFIG, seed=3)["protocol"]
    assert protocol["quantisation"].startswith("uint8")
    for key, value in {
        "extractor": "classifier",
        "n": 80,
        "k": 5,
        "kid_subsets": 10,
        "draws": 6,
        "kid_subset_size": 60,
        "seed": 3,
        "num_held_out": 400,
    }.items():
        assert protocol[key] == value
    assert len(protocol["weights_sha256"]) == 64 and "torch" in protocol["versions"]


def test_bad_images_are_an_error(reference):
    with pytest.raises(ValueError, match="uint8"):
        judge(np.zeros((4, 8, 8, 1), np.float32), None, reference, CONFIG, 0)
    with pytest.raises(ValueError, match=r"made for images \(1, 8, 8\)"):
        judge(np.zeros((4, 16, 16, 1), np.uint8), None, reference, CONFIG, 0)


def test_kept_floors_change_no_number_and_are_measured_once(train, reference, tmp_path):
    images, labels = train[0][:300], train[1][:300]
    told = []

    def result(floors, config=CONFIG):
        told.clear()
        found = judge(images, labels, reference, config, 0, lambda *x: told.append(x), floors)
        ends = {what: (done, total) for what, done, total in told}  # of each phase, the last
        assert all(done == total for done, total in ends.values())
        assert len({(what, total) for what, _, total in told}) == 2
        assert ends[FEATURES] == (len(images), len(images))
        return found, ends[MEASUREMENTS][1]

    def lines():
        return [kept.stat().st_mtime_ns for kept in tmp_path.iterdir()]

    expected, both = result(None)
    first, measured = result(tmp_path)
    assert first == expected and both == measured == 2 * CONFIG.floor_draws
    written = lines()
    again, fewer = result(tmp_path)
    assert again == expected and fewer == CONFIG.floor_draws and lines() == written
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-200])
    mended, measured = result(tmp_path)
    assert mended == expected and measured == both and len(lines()) == 1
    result(tmp_path, CONFIG.model_copy(update={"k": 3}))
    assert len(lines()) == 2, "other settings have floors of their own"
