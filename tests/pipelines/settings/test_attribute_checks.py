"""Attributes and samplers that do not fit are told before anything is trained."""

from pathlib import Path

import pytest

from pipelines.params import ParamsError, check_params, load_params
from pipelines.settings.cross_checks import remarks
from pipelines.settings.dotted_keys import with_values

PARAMS = Path(__file__).parents[3] / "params.yaml"
GUIDED = {"kind": "distribution", "attribute": "tone", "target": {"3": 0.5, "7": 0.5}}
ATTRIBUTES = {
    "attributes": {"tone": {"values": ["3", "7"]}},
    "model.class_conditional": False,
    "evaluation.num_images": 1024,
    "sampling.heun18.guidance": [GUIDED],
}


def params_with(**changes):
    raw = load_params(PARAMS).model_dump(mode="json")
    return check_params(with_values(raw, ATTRIBUTES | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"evaluation.num_images": 1000},
            r"guidance\[0\]\.group: evaluation.num_images 1000 would cut groups of 64: make it a "
            "multiple, such as 960",
        ),
        ({"evaluation.batch_size": 100}, "evaluation.batch_size 100 would cut groups of 64"),
        (
            {"sampling.heun18.guidance": [GUIDED | {"target": {"3": 0.5, "8": 0.5}}]},
            "target: '8' is not one of the values of attribute tone",
        ),
    ],
)
def test_what_evaluate_would_refuse_is_told_at_once(changes, message):
    assert params_with()
    with pytest.raises(ParamsError, match=message):
        params_with(**changes)


def test_steering_a_denoiser_that_is_asked_by_class_is_remarked():
    assert not [line for line in remarks(params_with()) if "steers" in line]
    told = remarks(params_with(**{"model.class_conditional": True}))
    assert [line for line in told if line.startswith("sampling.heun18: distribution steers")]
