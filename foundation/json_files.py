"""Reads JSON that holds one object, whatever has happened to the file."""

import json
from pathlib import Path
from typing import Any


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The object that a JSON text holds. Raises ValueError, which says what it holds instead."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("its lists are nested too deep") from None
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
        raise ValueError(f"it holds {'a truth value' if isinstance(value, bool) else kind}")
    return value


def read_object(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file. Raises OSError, or ValueError that says what is wrong."""
    return parse_object(Path(path).read_bytes())
