"""Reads and checks params.yaml; no other module reads it.

The error lists every unknown key, wrong type and value out of range, each with its YAML path, the
value, and what is allowed. Combinations of values are checked once each value is valid by itself.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from foundation.did_you_mean import spelling_hint
from pipelines.settings.cross_checks import combination_problems
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import DEFAULT_PATH, LISTED, ParamsError, listing, read_yaml
from pipelines.settings.yaml_scalars import shortened

__all__ = ["Params", "ParamsError", "check_params", "load_params"]


def load_params(path: str | Path = DEFAULT_PATH) -> Params:
    """Read and check a params file. Raises ParamsError that names everything wrong with it."""
    raw = read_yaml(path)
    return check_params(raw, str(path))


def check_params(raw: Any, name: str = DEFAULT_PATH) -> Params:
    """Params from nested plain data. Raises ParamsError, whose message begins with `name`."""
    if not isinstance(raw, dict):
        raise ParamsError(f"{name} must be a mapping of sections such as seed, dataset, train")
    try:
        params = Params.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = [_explain(dict(problem), raw) for problem in found[:LISTED]]  # hints take time
        lines += [""] * (len(found) - len(lines))
        raise ParamsError(listing(name, lines)) from None
    problems = combination_problems(params)
    if problems:
        raise ParamsError(listing(name, problems))
    return params


def _explain(problem: dict, raw: dict) -> str:
    """One pydantic error as a line: YAML path, value, what is allowed."""
    path, value, location = "", raw, problem["loc"]
    known: type[BaseModel] | None = Params
    for part in location:
        if isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value):
            path, value = f"{path}[{part}]", value[part]
        elif isinstance(value, dict) and part in value:
            path, value = f"{path}.{part}" if path else str(part), value[part]
        elif problem["type"] == "missing" and part == location[-1]:
            path = f"{path}.{part}" if path else str(part)
        else:  # a name that pydantic adds, such as the chosen member of a union
            continue
        field = getattr(known, "model_fields", {}).get(part) if known else None
        known_next = field.annotation if field is not None else None
        if problem["type"] == "extra_forbidden" and part == location[-1]:
            allowed = list(getattr(known, "model_fields", {}))
            hint = spelling_hint(str(part), allowed) if allowed else ""
            return f"{shortened(path)}: unknown key{hint}"
        known = known_next if isinstance(known_next, type) else None
    if problem["type"] == "missing":
        return f"{shortened(path)}: it is missing, and has no default: give it"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    shown = shortened(json.dumps(value)) if not isinstance(value, dict) else "this section"
    return f"{shortened(path) or 'top level'}: {shown}: {message}"
