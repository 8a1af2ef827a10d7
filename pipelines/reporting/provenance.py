"""What a result was made from, file by file, so that anybody can look whether it still stands."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.settings.dotted_keys import flatten
from pipelines.settings.schema import Params
from pipelines.workspace.chosen_kinds import chosen_kinds
from pipelines.workspace.imports import Look
from pipelines.workspace.paths import (
    ATTRIBUTES,
    AUTOENCODER,
    DATASET,
    EMA,
    EVALUATE,
    EVALUATE_STUDENTS,
    LATENTS,
    REFERENCE,
    STUDENTS,
)
from pipelines.workspace.stage_code import STAGE_PARAMS, content_hash, stage_files

READ = (".json", ".npy", ".npz", ".safetensors")
"""Endings of files that results are made of; pictures are made from results."""
PARTS = ("params", "dataset", "reference", "weights", "judgements", "code")


def provenance(params: Params) -> dict[str, dict[str, Any]]:
    """{"params": {dotted key: value}, "dataset", "reference", "weights", "judgements", "code":
    {file: sha256}} of the workspace as it is."""
    plain = params.model_dump(mode="json")
    sections = {key: plain[key] for key in STAGE_PARAMS["summarize"]}
    found: dict[str, dict[str, Any]] = {"params": flatten(sections)}
    for part, folders in _folders().items():
        files = sorted(file for folder in folders for file in _read_files(folder))
        found[part] = {file.as_posix(): content_hash(file) for file in files}
    look = Look()
    code: set[Path] = set()
    for stage in STAGE_PARAMS:
        code |= stage_files(stage, chosen_kinds(stage, plain), look)
    found["code"] = {file.as_posix(): content_hash(file) for file in sorted(code)}
    return found


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[str]]:
    """{part: a line for each entry that is another now}; a part without differences is left out."""
    found: dict[str, list[str]] = {}
    for part in PARTS:
        before, after = recorded.get(part, {}), now.get(part, {})
        lines = [
            _line(part, key, before, after)
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key) or (key in before) != (key in after)
        ]
        if lines:
            found[part] = lines
    return found


def _folders() -> dict[str, tuple[Path, ...]]:
    """{part of the record: folders whose files it names}."""
    return {
        "dataset": (DATASET, LATENTS),
        "reference": (REFERENCE,),
        "weights": (AUTOENCODER, EMA, ATTRIBUTES, STUDENTS),
        "judgements": (EVALUATE, EVALUATE_STUDENTS),
    }


def _line(part: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if part == "params":
        old, new = (
            json.dumps(side[key]) if key in side else "(not set)" for side in (before, after)
        )
        return f"{key}: {old} when the result was made, {new} now"
    if key not in after:
        return f"{key}: is missing"
    if key not in before:
        return f"{key}: is new"
    return f"{key}: has other content ({after[key][:12]}, recorded {before[key][:12]})"


def _read_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (file for file in folder.rglob("*") if file.suffix in READ and file.is_file())
