"""Strength says how many of the last steps are run."""

import math

import pytest

from sampling.editing.strength import check_strength, first_step


@pytest.mark.parametrize(
    ("strength", "steps", "first"),
    [
        (0, 18, 18),
        (1, 18, 0),
        (0.5, 18, 9),
        (0.6, 18, 7),
        (1e-3, 18, 17),
        (0.999, 18, 0),
        (0.5, 1, 0),
    ],
)
def test_first_step(strength, steps, first):
    assert first_step(strength, steps) == first


@pytest.mark.parametrize("steps", range(1, 60))
def test_a_share_of_the_steps_is_that_number_of_steps(steps):
    """Also where floating point would round up: 0.07 * 100 is above 7."""
    for run in range(steps + 1):
        assert first_step(run / steps, steps) == steps - run
    assert first_step(0.07, 100) == 93 and math.ceil(0.07 * 100) == 8


@pytest.mark.parametrize("strength", [-0.1, 1.1, math.nan, math.inf, True, "0.6", None])
def test_other_strengths_are_refused(strength):
    with pytest.raises(ValueError, match=r"^strength .*: give 0 \(the image as it is\) to 1"):
        check_strength(strength)
