"""Dotted keys of params.yaml ("train.lr"): listed, checked, changed, and written for DVC's -S."""

import copy
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from foundation.did_you_mean import spelling_hint
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import ParamsError

DOCUMENTED = " (see docs/params.md)"


def known_keys(params: Params) -> dict[str, Any]:
    """{dotted key: value} of every key that params.yaml may hold with the samplers of `params`.

    A list is one value, and so is a mapping with free keys, such as grid_options.
    """
    flat: dict[str, Any] = {}

    def walk(nested: Mapping[str, Any], prefix: str) -> None:
        for key, value in nested.items():
            if isinstance(value, Mapping) and value and not key.endswith("_options"):
                walk(value, f"{prefix}{key}.")
            else:
                flat[f"{prefix}{key}"] = value

    walk(_whole(params), "")
    return flat


def _whole(value: Any) -> Any:
    """Settings as plain data, also what a dump leaves out at its default."""
    if isinstance(value, BaseModel | Mapping):
        return {name: _whole(part) for name, part in dict(value).items()}
    return to_jsonable_python(value)


def check_key(key: str, known: Iterable[str], where: str) -> None:
    """Raise ParamsError, which begins with `where`, unless `key` is among the known keys."""
    known = list(known)
    if key in known:
        return
    inside = [name for name in known if name.startswith(f"{key}.")]
    if inside:
        shown = ", ".join(inside[:4]) + (", ..." if len(inside) > 4 else "")
        raise ParamsError(f"{where}: {key} is a section: name one of its keys ({shown})")
    raise ParamsError(f"{where}: {key}: unknown key{spelling_hint(key, known, DOCUMENTED)}")


def with_values(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested plain data in which the dotted keys have these values."""
    out = copy.deepcopy(dict(raw))
    for key, value in values.items():
        *sections, last = key.split(".")
        section = out
        for name in sections:
            if not isinstance(section.get(name), dict):
                section[name] = {}
            section = section[name]
        section[last] = copy.deepcopy(value)
    return out


def has_key(raw: Any, key: str) -> bool:
    """Whether nested plain data contains the dotted key."""
    for part in key.split("."):
        if not isinstance(raw, dict) or part not in raw:
            return False
        raw = raw[part]
    return True


def override_text(value: Any) -> str:
    """A value in Hydra's grammar of overrides, which `dvc exp run -S` reads."""
    if isinstance(value, str):
        plain = value and all(c.isascii() and (c.isalnum() or c in "_-./") for c in value)
        looks_typed = _reads_as_other(value)
        if plain and not looks_typed:
            return value
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list | tuple):
        return "[" + ",".join(override_text(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{override_text(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)  # true, false, null, numbers


def _reads_as_other(text: str) -> bool:
    """Whether Hydra reads the bare word as a number, a truth value or null."""
    if text.lower() in ("null", "true", "false", "nan", "inf"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def set_options(raw: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """["-S", "train.lr=0.02", ...] for DVC; a key that the file `raw` leaves out gets a "+"."""
    words = []
    for key, value in values.items():
        words += ["-S", f"{'' if has_key(raw, key) else '+'}{key}={override_text(value)}"]
    return words


def experiment_command(raw: Mapping[str, Any], values: Mapping[str, Any], name: str = "") -> str:
    """The shell line that runs the pipeline with these values."""
    words = ["dvc", "exp", "run", *(["-n", name] if name else []), *set_options(raw, values)]
    return shlex.join(words)


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections -> {"train.lr": 0.01}; lists and empty mappings become JSON text."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, Mapping | list | tuple):
            flat[name] = json.dumps(value)
        else:
            flat[name] = value
    return flat


def select(flat: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The entries of a flat mapping that lie at or below one of the dotted keys."""
    return {
        name: value
        for name, value in flat.items()
        if any(name == key or name.startswith(f"{key}.") for key in keys)
    }
