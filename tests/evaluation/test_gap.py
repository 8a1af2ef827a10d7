import numpy as np
import pytest

from evaluation.gap import gap_with_floor, structure_gap

FLOORS = {"knn_two_sample": 0.5, "coverage": 0.8, "knn_distance_w1": 0.1, "lid_log_ratio": 0.05}


def test_by_hand():
    values = {
        "knn_two_sample": 0.6,
        "coverage": 0.6,
        "knn_distance_w1": 0.4,
        "lid_log_ratio": 0.45,
        "mean_real_distance": 2.0,
    }
    assert structure_gap(values, FLOORS) == pytest.approx((0.2 + 0.25 + 0.15 + 0.4) / 4)
    # Too alike is as far from real as too different.
    memorised = values | {"knn_two_sample": 0.4, "coverage": 1.0}
    assert structure_gap(memorised, FLOORS) == pytest.approx(structure_gap(values, FLOORS))
    assert structure_gap(FLOORS | {"mean_real_distance": 2.0}, FLOORS) == 0


def test_an_undefined_term_is_left_out():
    values = FLOORS | {"mean_real_distance": 2.0, "knn_two_sample": 0.6, "lid_log_ratio": np.nan}
    assert structure_gap(values, FLOORS) == pytest.approx(0.2 / 3)


def draws(rng, shift):
    return {
        "knn_two_sample": 0.5 + 0.01 * rng.normal(size=20) + shift,
        "coverage": 0.9 + 0.01 * rng.normal(size=20) - shift,
        "knn_distance_w1": 0.1 + 0.01 * rng.normal(size=20) + shift,
        "lid_log_ratio": 0.05 + 0.01 * rng.normal(size=20),
        "mean_real_distance": np.ones(20),
    }


def test_resolvable_only_well_above_the_floors_own_scatter():
    rng = np.random.default_rng(0)
    floor = draws(rng, 0)
    outcomes = [gap_with_floor(draws(rng, 0), floor) for _ in range(50)]
    assert not any(outcome["resolvable"] for outcome in outcomes)
    seen = gap_with_floor(draws(rng, 0.1), floor)
    assert seen["resolvable"] and seen["value"] > seen["floor"] + 4 * seen["floor_std"]
    values = [gap_with_floor(draws(rng, shift), floor)["value"] for shift in (0, 0.05, 0.1, 0.2)]
    assert values == sorted(values)


def test_real_images_are_at_their_own_floor():
    floor = draws(np.random.default_rng(1), 0)
    gap = gap_with_floor(floor, floor)
    assert gap["value"] == gap["floor"] and gap["std"] == gap["floor_std"]


def test_value_and_floor_are_means_over_the_same_terms():
    """The intrinsic dimension of copies is undefined, in the floor it is the largest term."""
    names = (*FLOORS, "mean_real_distance")
    floor = {name: np.array([0.5, 0.7]) for name in names}
    floor["lid_log_ratio"] = np.array([0.0, 4.0])
    model = floor | {"lid_log_ratio": np.array([np.nan, np.nan])}
    gap = gap_with_floor(model, floor)
    assert gap["value"] == gap["floor"] == pytest.approx(gap_with_floor(model, model)["value"])
    assert not gap["resolvable"]
    one = floor | {"lid_log_ratio": np.array([np.nan, 4.0])}  # draw 1 keeps all its terms
    assert gap_with_floor(one, floor)["value"] == gap_with_floor(one, floor)["floor"]
    assert gap_with_floor(one, floor)["value"] > gap["value"]


def test_without_any_term_the_gap_is_undefined(recwarn):
    nothing = {name: np.full(3, np.nan) for name in (*FLOORS, "mean_real_distance")}
    gap = gap_with_floor(nothing, nothing)
    assert np.isnan(gap["value"]) and np.isnan(gap["floor"]) and not gap["resolvable"]
    assert not recwarn.list
