"""Reads and writes YAML files of settings, which every reader of YAML takes for the same.

1e-3 is a number. What PyYAML and DVC read differently, or what JSON cannot say, is an error.
"""

from pathlib import Path
from typing import Any

import yaml

from pipelines.settings.yaml_scalars import needs_quotes, shortened
from pipelines.settings.yaml_tree import Tree, TreeError

DEFAULT_PATH = "params.yaml"
MAX_BYTES = 1_000_000
LISTED = 20
"""A message lists no more problems than this."""
LONGEST = 600
"""Characters of a problem that a message shows."""


class ParamsError(ValueError):
    """params.yaml cannot be used; the message lists every problem with its YAML path."""


def listing(name: str, problems: list[str]) -> str:
    """The message about a file's problems: how many there are, and the first of them."""
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
    lines = [one if len(one) <= LONGEST else f"{one[:LONGEST]}..." for one in problems[:LISTED]]
    return f"{name} has {count}:\n" + "\n".join(f"  {line}" for line in lines + more)


def read_value(text: str) -> Any:
    """One value as params.yaml would read it: 7e-4 is a number. Raises ParamsError."""
    try:
        tree = Tree(text)
    except (yaml.YAMLError, TreeError) as error:
        shown = shortened(" ".join(text.split()))
        raise ParamsError(f"{shown} is not a value: {_reason(error)}") from None
    if tree.problems:
        raise ParamsError(tree.problems[0].partition(": ")[2])  # without the number of its line
    return tree.value


def read_yaml(path: str | Path) -> Any:
    """Plain data of a YAML file, as JSON could hold it. Raises ParamsError with file and line."""
    text = _read_text(Path(path))
    try:
        tree = Tree(text)
    except TreeError as error:
        raise ParamsError(f"{path} line {error.line}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ParamsError(f"{path}{where} is not valid YAML: {_reason(error)}") from None
    if tree.problems:
        raise ParamsError(listing(str(path), tree.problems))
    return tree.value


def yaml_text(data: Any) -> str:
    """Plain data as YAML in which text stays text for every reader. Keys keep their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Safe YAML in which each text that some reader takes for something else stands in quotes."""


def _quoted_where_needed(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if needs_quotes(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted_where_needed)


def _read_text(path: Path) -> str:
    advice = "run from the project's folder, or copy one of presets/"
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise ParamsError(f"{path} cannot be read (it is not a file): {advice}")
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ParamsError):
            raise
        raise ParamsError(f"{path} cannot be read ({error}): {advice}") from None
    if len(content) > MAX_BYTES:
        raise ParamsError(f"{path} is larger than {MAX_BYTES:,} bytes: no file of settings is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ParamsError(
            f"{path} line {line} holds the byte 0x{content[error.start]:02x}, which is not UTF-8: "
            "save the file as UTF-8"
        ) from None


def _reason(error: Exception) -> str:
    """What is wrong, in one line."""
    return " ".join(str(getattr(error, "problem", None) or error).split())
