"""Lists for DVC the code files of the kinds that params choose.

dvc.yaml cannot say "the file of the solver that params name". So the stage `kinds` writes one small
list per stage, outputs/kinds/<stage>.json (for evaluate one per sampler), with the files of the
chosen kinds and their hashes. Each stage depends on its own list, so an edit to a solver changes
only the lists of the stages that use it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.workspace.chosen_kinds import NO_CHOICE, chosen_kinds, guiding_attributes
from pipelines.workspace.imports import Look
from pipelines.workspace.stage_code import (
    STAGE_PARAMS,
    TABLES,
    always_files,
    content_hash,
    stage_files,
)

# The params that choose kinds; dvc.yaml names the same for the stage `kinds`.
KIND_PARAMS = (
    "dataset",
    "autoencoder",
    "model",
    "noise",
    "train",
    "structure",
    "sampling",
    "samplers",
    "students",
    "distil",
    "evaluation.extractor",
)


def has_kinds(stage: str, look: Look | None = None) -> bool:
    """Whether the stage imports a table from which params choose kinds."""
    if stage in NO_CHOICE:
        return False
    look = look or Look()
    return stage_files(stage, look=look) != always_files(stage, look)


def list_name(stage: str, sampler: str | None) -> str:
    """Name of a list: "train", "evaluate-heun18"."""
    return stage if sampler is None else f"{stage}-{sampler}"


def kind_lists(params: Mapping[str, Any]) -> dict[str, dict]:
    """All lists: {name: {"kinds": {table: names}, "files": {path: hash of the file now}}}.

    That of attributes also has which attributes guide each sampler, so that the stage need not
    depend on the settings of all samplers.

    params: plain data, as in params.yaml. Raises KeyError if a key that chooses kinds is missing.
    """
    look = Look()
    return {
        list_name(stage, sampler): _list(stage, params, sampler, look)
        for stage, sampler in _items(params)
        if has_kinds(stage, look)
    }


def _items(params: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for stage in STAGE_PARAMS:
        for sampler in params["samplers"] if stage == "evaluate" else [None]:
            yield stage, sampler


def _list(stage: str, params: Mapping[str, Any], sampler: str | None, look: Look) -> dict:
    kinds = chosen_kinds(stage, params, sampler)
    files = stage_files(stage, kinds, look) - always_files(stage, look)
    guided = {}
    if stage == "attributes":
        guided["guided"] = {name: guiding_attributes(params, name) for name in params["samplers"]}
    return {
        "kinds": {table: sorted(kinds[table]) for table in sorted(set(TABLES) & set(kinds))},
        "files": {path.as_posix(): content_hash(path) for path in sorted(files)},
        **guided,
    }
