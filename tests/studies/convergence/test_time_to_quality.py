"""When a quality is reached for good, and the ratio of two times."""

import math

import pytest

from studies.convergence.time_to_quality import ratio, reached


def test_only_what_stays_counts():
    times, losses = [1, 2, 3, 4, 5], [5.0, 2.0, 3.0, 2.0, 1.0]
    assert reached(times, losses, 2.0) == 4
    assert reached(times, losses, 3.0) == 2
    assert reached(times, losses, 5.0) == 1
    assert reached(times, losses, 0.5) is None
    assert reached(times, [1.0, 1.0, 1.0, 1.0, 2.0], 1.0) is None, "it does not stay"
    assert reached(times, [1.0, math.nan, 1.0, 1.0, 1.0], 1.0) == 3, "no number is no quality"


def test_the_interval_is_students_over_logarithms():
    """Logs 0, ln 2, ln 4: mean ln 2, deviation ln 2, t of two degrees of freedom 4.3027."""
    found = ratio([(8.0, 8.0), (8.0, 4.0), (8.0, 2.0)])
    half = 4.30265 * math.log(2) / math.sqrt(3)
    assert found.mean == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-half), rel=1e-4)
    assert found.high == pytest.approx(2 * math.exp(half), rel=1e-4)
    assert found.unreached == 0 and str(found) == "2.00 (0.36 to 11.19)"


def test_what_is_not_reached_is_said():
    assert str(ratio([(8.0, None), (8.0, None)])) == "not reached (2 of 2)"
    some = ratio([(8.0, 4.0), (8.0, None)])
    assert (some.mean, some.low, some.unreached) == (pytest.approx(2.0), None, 1)
    assert str(some) == "2.00, 1 of 2 unreached"
