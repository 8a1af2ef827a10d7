"""Every EMA length has a step of its own in MLflow."""

import pytest

from pipelines.tracking.length_steps import length_scale, length_step


@pytest.mark.parametrize(
    ("lengths", "scale"),
    [
        ([0.05, 0.1, 0.1], 1000),
        ([0.1, 0.1004], 10_000),
        ([0.1, 0.1111111, 0.10000001], 10**8),
        ([0.0001, 0.2], 10_000),  # step 0 says how to move the slider
        ([], 1000),
    ],
)
def test_steps_differ_and_leave_step_0_free(lengths, scale):
    assert length_scale(lengths) == scale
    steps = {length: length_step(length, scale) for length in lengths}
    assert len({0, *steps.values()}) == len(steps) + 1


def test_lengths_that_no_step_tells_apart_share_one():
    assert length_step(1e-300, length_scale([1e-300, 0.1])) == 0
