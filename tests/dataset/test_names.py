"""In which order names stand, and how they are shown."""

import random

import pytest

from dataset.names import is_utf8, natural_order, readable


@pytest.mark.parametrize(
    "names",
    [
        [str(number) for number in range(12)],
        ["x1", "x2", "x10", "x10a", "x10b2", "x10b12"],
        ["01", "1", "1a", "02", "2", "a"],  # the number decides, then the spelling
        ["", "-", "0", "10", "B", "a", "a-1", "a1", "b", "é", "猫"],
        ["v1.2", "v1.10", "v2.1"],
    ],
)
def test_numbers_count_and_all_else_goes_by_code_point(names):
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted(shuffled, key=natural_order) == names


def test_without_digits_the_order_is_that_of_code_points():
    names = ["Zebra", "apple", "banana", "a b", "a-b", "a/b", "ab", "a:b", "ä", "中"]
    assert sorted(names, key=natural_order) == sorted(names)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("caf\udce9", r"caf\xe9"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), r"\xff\xfe"),
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("right \u202e to left", r"right \u202e to left"),
        ("\ud800", r"\ud800"),
        ("猫 🐱 café", "猫 🐱 café"),
        ("👩\u200d🔬", "👩\u200d🔬"),  # joined from two
        (r"caf\xe9", r"caf\xe9"),  # once is enough
    ],
)
def test_names_can_be_written_on_one_line(name, shown):
    assert readable(name) == shown
    shown.encode("utf-8")
    assert is_utf8(name) == ("\udce9" not in name and "\udcff" not in name)
