"""One unit of the studies on emoji: the pipeline's stages with an arm's params and a seed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from foundation.nested_settings import merged
from studies.staged import MINUTES, ROOT, Limit, run_stages

LENGTH, SAMPLER = 0.1, "heun18"
ITEM = f"{LENGTH}-{SAMPLER}"
MADE_ONCE = ("prepare", "reference")
TRAINED = ("latents.autoencoder", "latents.encode", "train", "reconstruct")
EVALUATE = f"evaluate --length {LENGTH} --sampler {SAMPLER}"


@dataclass(frozen=True)
class Given:
    """What all units of a study share."""

    common: Mapping[str, Any]
    """Its params, less those of the arms."""
    work: Path
    rows: Path
    minutes: float = MINUTES
    """Wall-clock, of one start, after which a unit begins no further stage."""


def params_of(common: Mapping[str, Any]) -> dict:
    """The preset image_folder with the study's changes: no game, one sampler, one process."""
    params = yaml.safe_load((ROOT / "presets/image_folder.yaml").read_text())
    for section in ("sampling", "samplers"):
        del params[section]
    once = {
        "sampling": {SAMPLER: {"solver": "heun", "grid": "karras", "steps": 18}},
        "samplers": [SAMPLER],
        "structure": {"kind": "none"},
        "model": {"adapter_rank": 0},
        "ema": {"tracked": [0.05, 0.10], "snapshots": 4, "lengths": [LENGTH]},
        "cluster": {"num_workers": 0},
        "tracking": {"enabled": False},
    }
    return merged(merged(params, once), common)


def prepared(given: Given, limit: Limit) -> Path:
    """The folder `outputs` with the data set and the reference that all units share."""
    params = params_of(given.common)
    made_of = {key: params[key] for key in ("dataset", "evaluation")}
    folder = given.work / f"data-{json_hash(made_of)[:16]}"
    run_stages(folder, params, MADE_ONCE, limit=limit)
    return folder / "outputs"


def unit(
    given: Given,
    name: str,
    arm: Mapping[str, Any],
    seed: int,
    finish: Callable[[Path, dict], dict[str, Any]],
    evaluated: bool = True,
) -> dict:
    """Train and judge an arm with a seed, unless its row stands; returns the row.

    Raises StageError, or OutOfMinutes where given.minutes were used before a stage.

    Args:
        finish: called with the folder `outputs` and the params; what it returns is in the row.
        evaluated: whether the stage evaluate runs too.
    """
    limit = Limit(given.minutes)
    data = prepared(given, limit)
    params = merged(params_of(given.common), {**arm, "seed": seed})
    mark = json_hash([params, ImageDataset(data / "dataset").content_hash])[:16]
    path = given.rows / f"{name}-{seed}.json"
    if path.is_file() and (kept := read_object(path)).get("fingerprint") == mark:
        return kept
    shared = {part: data / part for part in ("dataset", "reference")}
    folder = given.work / f"{name}-{seed}-{mark}"
    stages = [*TRAINED, *([EVALUATE] if evaluated else [])]
    seconds = run_stages(folder, params, stages, shared, limit)
    row = {
        "arm": name,
        "seed": seed,
        "fingerprint": mark,
        "kimg": params["train"]["total_kimg"],
        "processor_seconds": seconds,
        **finish(folder / "outputs", params),
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row
