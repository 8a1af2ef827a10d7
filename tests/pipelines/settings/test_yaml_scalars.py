"""Words of YAML: each is read as DVC reads it, or refused with its readings and the mend."""

import pytest
import yaml
from ruamel.yaml import YAML

from pipelines.settings.yaml_file import read_value
from pipelines.settings.yaml_scalars import ScalarError, needs_quotes, plain_value

LINES = (
    "0 7 10 007 00 010 08 0128 0777 -010 +010 00012 0_1 0_8 0o17 -0o17 0o8 0O17 0x1F -0x10",
    "0x1_0 0xg 0b11 0b1_1 0b_ 0b2 1_000 _1 +_ -_ 1__0 2:00 -2:00 2:00.5 190:20:30 1:60 a:b",
    "yes Yes YES no on Off OFF y n Y true True TRUE tRUE false null Null ~ nULL 1e3 1E3",
    "1e-3 1.e3 1.5e3 1.5e+3 -1e3 +1e3 .5 -.5 +.5 .5e3 .5e+3 -.5e-3 ._ .__5 5. 01.5 1_0.5",
    "1.5_0 1e5_0 1_0e3 .inf -.inf .Inf .nan .NaN -.nan inf nan 1e999 2024-05-01 2024-5-1",
    "2024-05-01T10:00:00 2024-05-01t10:00:00Z = << 1e e3 1.2.3 0. . .. -- +1 -0 0e1 12e03",
    "9223372036854775807 9223372036854775808 -9223372036854775808 x yes! 1,000",
)
WORDS = [word for line in LINES for word in line.split()]


def of_dvc(word):
    """DVC's reading; its reader fails at some words."""
    try:
        return YAML(typ="safe").load(f"a: {word}")["a"]
    except Exception:
        return None


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_refused_or_read_as_dvc_reads_it(word):
    try:
        value = plain_value(word)
    except ScalarError as error:
        assert str(error).startswith(word) and "\n" not in str(error)
        return
    dvc = of_dvc(word)
    assert type(value) is type(dvc) and value == dvc
    assert read_value(f"a: {word}") == {"a": value}


@pytest.mark.parametrize(
    "word", [w for w in WORDS if isinstance(of_dvc(w), bool | int | float | str)]
)
def test_a_word_that_pyyaml_reads_as_another_number_or_truth_is_refused(word):
    one, other = yaml.safe_load(f"a: {word}")["a"], of_dvc(word)
    if isinstance(one, str) and isinstance(other, float):
        return  # 1e3: older readers take it for text, and the check of a number's key tells that
    if one != other or type(one) is not type(other):
        with pytest.raises(ScalarError):
            plain_value(word)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("010", '010 is 8 to one reader of YAML and 10 to another: write 10, or "010" in quotes'),
        ("0128", "0128 is text to one reader of YAML and 128 to another: write 128, or"),
        ("0o17", "0o17 is text to one reader of YAML and 15 to another: write 15, or"),
        ("2:00", "2:00 is 120 to one reader of YAML and text to another: write 120, or"),
        ("1:30.5", "1:30.5 is 90.5 to one reader of YAML and text"),
        ("off", "off is false to one reader of YAML and text to another: write false, or"),
        ("1_000", "1_000 is 1000 to one reader of YAML and text to another: write 1000, or"),
        (".5e3", ".5e3 is 500.0 to one reader of YAML and text to another: write 500.0, or"),
        ("2024-05-01", '2024-05-01 is read as a date: for text write "2024-05-01" in quotes'),
        (".nan", ".nan is not a finite number"),
        ("1e999", "1e999 is beyond what a number can hold"),
        ("1" * 5000, "... (5000 characters) is too large: whole numbers go up to 2^63 - 1"),
        ("1_" * 5000, "... (10000 characters) is a number to one reader"),
    ],
)
def test_a_refusal_says_what_the_word_may_mean_and_how_to_write_it(word, told):
    with pytest.raises(ScalarError) as caught:
        plain_value(word)
    assert told in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("word", ["010", "yes", "1e3", "2024-05-01", "", "~", "7", "true", "="])
def test_text_that_looks_like_something_else_needs_quotes(word):
    assert needs_quotes(word) and not needs_quotes(f"x{word}")
