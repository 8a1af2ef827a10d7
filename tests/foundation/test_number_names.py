"""Names of numbers differ where the numbers do, and are read back exactly."""

import math

import numpy as np
import pytest

from foundation.number_names import number_name

KNOWN = {0.1: "0.1", 0.05: "0.05", 0.025: "0.025", 64.0: "64", 1e-05: "1e-05", 0.0: "0"}


def test_round_numbers_keep_their_short_names():
    assert {value: number_name(value) for value in KNOWN} == KNOWN
    assert number_name(np.float64(0.1)) == "0.1"


@pytest.mark.parametrize("value", [0.1, 0.1111111, 1e-05, 64.0, 12345.678, 1 / 3])
def test_the_next_number_has_another_name(value):
    after = math.nextafter(value, math.inf)
    names = [number_name(value), number_name(after)]
    assert names[0] != names[1] and [float(name) for name in names] == [value, after]
