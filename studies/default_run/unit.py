"""One unit of the study: the pipeline's stages on digits with an arm's params and a seed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from foundation.nested_settings import merged
from studies.convergence.arms import FIVE
from studies.default_run.arms import LONG
from studies.staged import ROOT, Limit, run_stages
from studies.standing_row import standing_row

LENGTH = 0.1
MADE_ONCE = ("prepare", "reference")
TRAINED = ("latents.autoencoder", "latents.encode", "train", "reconstruct")
METRICS = ("kid", "fd", "recall", "coverage", "structure_gap", "copy_ratio")
IMAGES = 2048
"""Judged of each item, four times as many as by default, since few images judge loosely."""


def params_of(changes: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The preset digits with an arm's changes: one process, and what is judged of them."""
    params = yaml.safe_load((ROOT / "presets/digits.yaml").read_text())
    for section in ("sampling", "samplers", "structure"):
        del params[section]
    samplers = {"long": LONG, "few": FIVE}
    if changes["structure"]["kind"] != "none":
        samplers["few_game"] = FIVE | {"adapter": True}
    once = {
        "seed": seed,
        "sampling": samplers,
        "samplers": list(samplers),
        "ema": {"lengths": [LENGTH]},
        "evaluation": {"num_images": IMAGES},
        "cluster": {"num_workers": 0},
        "tracking": {"enabled": False},
    }
    return merged(merged(params, once), changes)


def unit(
    name: str, changes: Mapping[str, Any], seed: int, work: Path, rows: Path, limit: Limit
) -> dict:
    """Train and judge an arm with a seed, unless its row stands; returns the row.

    Raises StageError, or OutOfMinutes where the minutes of `limit` were used before a stage.
    """
    params = params_of(changes, seed)
    mark = json_hash(params)[:16]
    path = rows / f"{name}-{seed}.json"
    kept = standing_row(path, mark)
    if kept is not None:
        return kept
    data = work / "data"
    # the data and their reference depend on no arm; its seed is another, so that all share it
    run_stages(data, params_of({"structure": {"kind": "none"}}, 0), MADE_ONCE, limit=limit)
    shared = {part: data / "outputs" / part for part in ("dataset", "reference")}
    folder = work / f"{name}-{seed}-{mark}"
    evaluated = [
        f"evaluate --length {LENGTH} --sampler {sampler}" for sampler in params["samplers"]
    ]
    seconds = run_stages(folder, params, [*TRAINED, *evaluated], shared, limit)
    items = {}
    for sampler in params["samplers"]:
        found = read_object(folder / f"outputs/evaluate/{LENGTH}-{sampler}/metrics.json")["metrics"]
        items[sampler] = {key: found[key] for key in METRICS}
    row = {
        "arm": name,
        "seed": seed,
        "fingerprint": mark,
        "kimg": params["train"]["total_kimg"],
        "training_seconds": seconds["train"],
        "items": items,
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row
