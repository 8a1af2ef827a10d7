"""Settings that name an entry of a table."""

import json
from typing import Annotated

import pytest
from pydantic import ValidationError

from foundation.names_in_settings import NameIn
from foundation.settings_base import Settings

SHAPES = {"circle": 0, "box": 4}


class Drawing(Settings):
    shape: Annotated[str, NameIn("shape", SHAPES, "nothing")] = "circle"


def read(value):
    return Drawing.model_validate_json(json.dumps({"shape": value})).shape


def test_names_of_the_table_and_those_besides_are_taken():
    assert [read(name) for name in ("box", "nothing")] == ["box", "nothing"]
    (names,) = Drawing.model_fields["shape"].metadata
    assert names.names == ["circle", "box", "nothing"]


def test_an_entry_put_into_the_table_later_counts(monkeypatch):
    monkeypatch.setitem(SHAPES, "star", 10)
    assert read("star") == "star"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("crcle", "unknown shape 'crcle': did you mean 'circle'"),
        ("hexagon", r"unknown shape 'hexagon' \(known: circle, box, nothing\)"),
        (4, "valid string"),
        (None, "valid string"),
    ],
)
def test_other_names_are_refused_with_the_nearest(value, message):
    with pytest.raises(ValidationError, match=message) as error:
        read(value)
    assert error.value.errors()[0]["loc"] == ("shape",)
