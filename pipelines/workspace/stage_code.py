"""Which params and which code a stage depends on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from models.weights import file_hash

# The params that decide a stage's result; dvc.yaml names the same (a test compares them).
STAGE_PARAMS: dict[str, tuple[str, ...]] = {
    "prepare": ("dataset",),
    "reference": ("evaluation.extractor", "evaluation.inception_path"),
    "train": ("seed", "model", "noise", "train", "structure", "ema.tracked", "ema.snapshots"),
    "reconstruct": ("ema.lengths",),
    "evaluate": ("seed", "evaluation"),
    "summarize": ("ema.lengths", "samplers", "evaluation"),
}


def stage_code(stage: str, path: str | Path = "dvc.yaml") -> set[Path]:
    """Python files that the stage's deps in dvc.yaml name."""
    stages = yaml.safe_load(Path(path).read_text())["stages"]
    files: set[Path] = set()
    for dep in stages[stage]["deps"]:
        if not isinstance(dep, str) or dep.startswith("outputs/") or "${" in dep:
            continue
        place = Path(dep)
        files |= set(place.rglob("*.py")) if place.is_dir() else {place}
    return files


def code_hash(files: set[Path]) -> str:
    """Hash of names and contents."""
    return _hash({str(path): file_hash(path) for path in sorted(files)})


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
