"""Writes the code files that stages depend on into dvc.yaml, between two comments."""

import re
from pathlib import Path

from pipelines.workspace.imports import Rules, closure, find_module, read_source
from pipelines.workspace.kind_lists import has_kinds, list_name
from pipelines.workspace.paths import KINDS
from pipelines.workspace.stage_code import STAGE_PARAMS, TABLES, always_files, stage_files

FIRST = "      # its code, written by: python -m pipelines.upkeep.stage_files"
LAST = "      # end of its code"


def with_code(text: str) -> str:
    """The text of dvc.yaml with the code files that each stage imports now.

    Raises ValueError if a stage lacks one of its two comments or has one twice.
    """
    out: list[str] = []
    stage, inside = "", False
    missing = {*STAGE_PARAMS, "kinds"}
    for line in text.splitlines():
        if match := re.fullmatch(r"  ([a-z_]+):", line):
            stage = match.group(1)
        if line == LAST:
            inside = False
        if not inside:
            out.append(line)
        if line == FIRST:
            if inside or stage not in missing:
                raise ValueError(
                    f"dvc.yaml: stage {stage} has a second {FIRST.strip()!r}: keep one"
                )
            inside = True
            missing.remove(stage)
            out += [f"      - {path}" for path in code_of(stage)]
    if missing or inside:
        raise ValueError(
            f"dvc.yaml: {', '.join(sorted(missing)) or stage}: deps need the lines "
            f"{FIRST.strip()!r} and {LAST.strip()!r}"
        )
    return "\n".join(out) + "\n"


def code_of(stage: str) -> list[str]:
    """The stage's dependencies besides data: its list of chosen kinds, and its code files."""
    if stage == "kinds":
        return sorted(path.as_posix() for path in _of_the_lists())
    sampler = "${item.sampler}" if stage == "evaluate" else None
    lists = [KINDS / f"{list_name(stage, sampler)}.json"] if has_kinds(stage) else []
    return [path.as_posix() for path in [*lists, *sorted(always_files(stage))]]


def _of_the_lists() -> set[Path]:
    """Files on which the lists depend: of the kinds, of the tables, and of what reads both."""
    found = closure(
        "pipelines.kinds",
        Rules(
            left_out={
                "foundation": "writes files, and words hints",
                "pipelines.console": "prints",
                "pipelines.params": "checks values",
            }
        ),
    )
    for stage in STAGE_PARAMS:
        found |= stage_files(stage) - always_files(stage)
    # The settings classes have the values of keys that params.yaml leaves out.
    schema = find_module("pipelines.settings.schema")
    assert schema is not None
    modules = [table.module for table in TABLES.values()]
    modules += [part.module for part in read_source(schema, "pipelines.settings.schema").imports]
    return found | {path for path in map(find_module, modules) if path is not None}
