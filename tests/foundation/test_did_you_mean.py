"""Hints at the name that was meant."""

import pytest

from foundation.did_you_mean import LISTED, check_name, spelling_hint


def test_a_near_name_is_named_whatever_its_case():
    assert spelling_hint("HEUN", ["heun", "ddim"]) == ": did you mean 'heun'?"
    assert spelling_hint("lr", ["train.lr", "structure.width"]) == ": did you mean 'train.lr'?"


def test_where_none_is_near_the_known_ones_are_listed_unless_there_are_too_many():
    assert spelling_hint("zzz", ["heun", "ddim"]) == " (known: heun, ddim)"
    many = [f"key{i}" for i in range(LISTED + 1)]
    assert spelling_hint("zzz", many, " (see docs)") == " (see docs)"
    assert spelling_hint("zzz", []) == ""


def test_check_name_refuses_in_one_line():
    check_name("solver", "heun", ["heun"])
    with pytest.raises(ValueError, match="unknown solver 'huen': did you mean 'heun'"):
        check_name("solver", "huen", ["heun"])
