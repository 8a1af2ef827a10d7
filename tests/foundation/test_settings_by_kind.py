"""Settings whose class goes by their kind."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from foundation.settings_base import Settings
from foundation.settings_by_kind import UNKNOWN_KEY, ByKind


class Shape(Settings):
    kind: str


class Circle(Shape):
    kind: Literal["circle"] = "circle"
    radius: Annotated[float, Field(gt=0)] = 1.0


class Box(Shape):
    kind: Literal["box"] = "box"
    sides: tuple[float, ...] = ()
    angle: float | None = None


SHAPES: dict[str, type[Shape]] = {"circle": Circle, "box": Box}


class Drawing(Settings):
    shapes: tuple[Annotated[Shape, ByKind("shape", SHAPES, "circle")], ...] = ()
    frame: Annotated[Shape, ByKind("shape", SHAPES)] | None = None


def read(**values):
    return Drawing.model_validate_json(json.dumps(values))


def test_each_entry_is_read_by_the_class_of_its_kind():
    drawing = read(shapes=[{"radius": 2.0}, {"kind": "box", "sides": [1.0, 2.0]}])
    assert drawing.shapes == (Circle(radius=2.0), Box(sides=(1.0, 2.0)))
    assert drawing == Drawing(shapes=({"radius": 2.0}, Box(sides=(1.0, 2.0))))
    assert read(frame={"kind": "box"}).frame == Box() and read().frame is None


def test_written_out_with_the_fields_of_its_own_class():
    drawing = Drawing(shapes=(Circle(radius=2.0), Box(sides=(1.0,))))
    first, second = drawing.model_dump(mode="json")["shapes"]
    assert first == {"kind": "circle", "radius": 2.0}
    assert second == {"kind": "box", "sides": [1.0], "angle": None}
    assert Drawing.model_validate_json(drawing.model_dump_json()) == drawing
    assert Drawing(**drawing.model_dump()) == drawing


def test_a_kind_put_into_the_table_later_counts(monkeypatch):
    class Star(Shape):
        kind: Literal["star"] = "star"

    monkeypatch.setitem(SHAPES, "star", Star)
    assert read(shapes=[{"kind": "star"}]).shapes == (Star(),)


def test_null_for_another_kinds_key_says_nothing():
    assert read(shapes=[{"kind": "box", "radius": None}]).shapes == (Box(),)


@pytest.mark.parametrize(
    ("entry", "location", "message"),
    [
        ({"kind": "circel"}, ("kind",), "unknown shape 'circel': did you mean 'circle'?"),
        ({"kind": ["box"]}, ("kind",), "unknown shape"),
        ({"kind": {"{": 1}}, ("kind",), "unknown shape"),
        ({"radius": -1.0}, ("radius",), "greater than 0"),
        ({"radius": "1"}, ("radius",), "valid number"),
        ({"radios": 1.0}, ("radios",), "unknown key 'radios': did you mean 'radius'?"),
        ({"angle": 1.0}, ("angle",), "sides and angle belong to kind box, not circle: give them"),
        ({"kind": "box", "radius": 1.0}, ("radius",), "radius belongs to kind circle, not box"),
        ({"kind": "box", "rados": None}, ("rados",), "unknown key 'rados'"),
        (3, (), "give a section such as"),
    ],
)
def test_mistakes_stand_where_they_were_made(entry, location, message):
    with pytest.raises(ValidationError) as error:
        read(shapes=[entry])
    (problem,) = error.value.errors()
    assert problem["loc"] == ("shapes", 0, *location) and message in problem["msg"]
    assert (problem["type"] == UNKNOWN_KEY) == ("unknown key" in message)
    with pytest.raises(ValidationError, match="unknown shape None"):
        read(frame={})


def test_the_example_is_of_the_kind_that_an_entry_has_by_default():
    class Boxes(Settings):
        one: Annotated[Shape, ByKind("shape", SHAPES, "box")] = Box()

    with pytest.raises(ValidationError, match=r"such as \{kind: box, \.\.\.\}"):
        Boxes.model_validate_json('{"one": 3}')
