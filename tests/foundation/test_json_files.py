"""JSON files that hold one object."""

import pytest

from foundation.json_files import parse_object, read_object


def test_an_object_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"caf\u00e9": [1, null]}', encoding="utf-8")
    assert read_object(tmp_path / "a.json") == {"caf\u00e9": [1, None]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "it holds a list"),
        ("null", "it holds null"),
        ("true", "it holds a truth value"),
        ("3", "it holds a number"),
        ('"x"', "it holds a text"),
        ("", "Expecting value"),
        ('{"a": ', "Expecting value"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 5000, "digits"),
        (b"\xff\xfe\x00", "decode|Expecting"),
    ],
)
def test_anything_else_is_a_value_error_with_the_reason(text, told):
    with pytest.raises(ValueError, match=told):
        parse_object(text)
