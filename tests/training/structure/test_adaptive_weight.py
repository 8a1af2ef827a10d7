import json

import pytest

from training.structure.adaptive_weight import AdaptiveWeight


def test_is_the_ratio_of_gradients_times_lambda_0():
    weight = AdaptiveWeight(0.1, 10.0, 0.0)
    assert weight.value == 0.0
    assert weight.update(6.0, 2.0) == pytest.approx(0.3)


def test_is_capped():
    weight = AdaptiveWeight(0.1, 1.0, 0.0)
    assert weight.update(1.0, 1e-9) == 1.0
    assert weight.update(1.0, 0.0) == 1.0
    assert weight.update(0.0, 1.0) == 0.0


def test_norms_are_smoothed_before_the_division():
    weight = AdaptiveWeight(1.0, 10.0, 0.5)
    weight.update(1.0, 1.0)
    # smoothed, weight 0.75: denoise (0.25 * 1 + 0.5 * 4), adversarial (0.25 * 1 + 0.5 * 1)
    assert weight.update(4.0, 1.0) == pytest.approx(2.25 / 0.75)


def test_first_update_is_not_biased_towards_zero():
    assert AdaptiveWeight(1.0, 10.0, 0.99).update(3.0, 2.0) == pytest.approx(1.5)


def test_skips_what_is_not_finite():
    weight = AdaptiveWeight(1.0, 10.0, 0.5)
    before = weight.update(1.0, 2.0)
    assert weight.update(float("nan"), 1.0) == before
    assert weight.update(1.0, float("inf")) == before


def test_state_survives_json():
    weight, copy = AdaptiveWeight(1.0, 10.0, 0.9), AdaptiveWeight(1.0, 10.0, 0.9)
    weight.update(1.0, 3.0)
    copy.load_state_dict(json.loads(json.dumps(weight.state_dict())))
    assert copy.update(2.0, 1.0) == weight.update(2.0, 1.0)
