"""YAML as params.yaml is written, read without surprises."""

import re
from pathlib import Path
from typing import Any

import yaml

DEFAULT_PATH = "params.yaml"


class ParamsError(ValueError):
    """params.yaml cannot be used; the message lists every problem with its YAML path."""


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number, as DVC does, and refuses a key given twice."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _mapping_without_duplicates(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: set = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is given twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_duplicates)


def read_value(text: str) -> Any:
    """One value as params.yaml would read it: 7e-4 is a number. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def read_yaml(path: str | Path) -> Any:
    """Plain data of a YAML file. Raises ParamsError with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(
            f"{path} cannot be read ({error}): run from the project's folder, "
            "or copy one of presets/"
        ) from None
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ParamsError(
            f"{path}{where} is not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from None
