"""Numbers as pages write them."""

import pytest

from pipelines.reporting.html import number, with_deviation


def test_numbers_are_short():
    values = (0.0021234, 12.3456, 45600.0, 3.0, 0.00001234, None, -0.5, float("nan"), 2.2e-14)
    shown = ["0.00212", "12.3", "45,600", "3", "1.23e-05", "–", "-0.500", "nan", "0"]
    assert [number(value) for value in values] == shown
    assert [number(999.96), number(-999.96), number(999.4)] == ["1,000", "-1,000", "999"]
    assert [number(123.4, 2), number(99.96, 2), number(99.4, 2)] == ["123", "100", "99"]
    assert with_deviation(0.0001, 0.0007) == "0.00010 ± 0.00070"
    assert with_deviation(0.967, 0.0123) == "0.967 ± 0.012"
    assert with_deviation(None, 0.1) == "–" and with_deviation(0.5, None) == "0.500"


@pytest.mark.parametrize(
    ("value", "deviation", "said"),
    [
        (16.9, 2.2e-14, "16.9"),  # of equal draws, by rounding alone
        (0.0, 3e-17, "0"),
        (1234567.0, 0.0, "1,234,567"),
        (12345.0, 678.0, "12,340 ± 680"),
        (0.123456, 0.0996, "0.12 ± 0.10"),
        (1.298, 0.0864, "1.298 ± 0.086"),
        (12.3456, 1.2, "12.3 ± 1.2"),
        (3.14e-6, 2.06e-6, "(3.1 ± 2.1)e-06"),
        (2.2e-5, 4.1e-7, "(2.200 ± 0.041)e-05"),
        (5e-9, 2e-6, "(0.0 ± 2.0)e-06"),
        (-0.0001, 0.02, "0.000 ± 0.020"),
        (-1e-9, 3e-7, "(0.0 ± 3.0)e-07"),
        (50.0, 6e-8, "50.000000000 ± 0.000000060"),
        (-0.0002, 0.0023, "-0.0002 ± 0.0023"),
        (float("nan"), 0.1, "nan"),
        (0.5, float("inf"), "0.500"),
    ],
)
def test_a_number_and_its_deviation_end_at_the_deviations_second_digit(value, deviation, said):
    assert with_deviation(value, deviation) == said
