"""Leaves out of flat params what says nothing of a student that only one of two runs has."""

from collections.abc import Mapping
from typing import Any

from pipelines.settings.dotted_keys import flatten
from training.students import STUDENTS

SECTION = "students."
KIND = ".kind"


def without_defaults(flat: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`flat` without the settings at their defaults of students that `other` does not have.

    So a new student is told by its kind and by what was chosen for it, and not by seventy lines.
    """
    said = dict(flat)
    for name in _names(flat) - _names(other):
        defaults = _defaults(str(flat.get(f"{SECTION}{name}{KIND}")))
        for key, value in defaults.items():
            full = f"{SECTION}{name}.{key}"
            if key != "kind" and full in said and str(said[full]) == str(value):
                del said[full]
    return said


def _names(flat: Mapping[str, Any]) -> set[str]:
    return {key.split(".")[1] for key in flat if key.startswith(SECTION) and key.endswith(KIND)}


def _defaults(kind: str) -> dict[str, Any]:
    """{key of a student: its default}, flattened; {} of an unknown kind."""
    if kind not in STUDENTS:
        return {}
    plain = (
        STUDENTS[kind].model_validate({"kind": kind, "samplers": ("-",)}).model_dump(mode="json")
    )
    return flatten(plain)
