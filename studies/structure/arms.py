"""Trains the arms of the study, each in its own process; checks that a folder holds its run."""

import argparse
import json
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from pydantic import ValidationError

from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from foundation.settings_by_kind import UNKNOWN_KEY
from foundation.workers import World
from models.weights import load_tensors
from pipelines.console.progress import progress
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.workspace.paths import grid_cache
from training.loop import train
from training.run_settings import RunSettings
from training.structure.config import StructureConfig


def train_arm(settings: str, dataset: str, folder: str) -> float:
    """Train one arm, or continue it, in this process; returns the seconds of the last start.

    So the time of a run that was interrupted is too short.
    """
    run, clock = Path(folder), Path(folder) / "seconds.json"
    with FileLock(run / ".lock", timeout=0):  # Timeout says which folder another process holds
        if not (run / "train.json").exists():
            start = time.monotonic()
            asked = RunSettings.model_validate_json(settings)
            asked = asked.model_copy(update={"grid_cache": str(grid_cache())})
            train(asked, ImageDataset(dataset), run, World())
            clock.write_text(json.dumps(time.monotonic() - start))
    try:
        return float(clock.read_text())
    except (OSError, ValueError):  # no such file, or one that a crash cut off
        return float("nan")


def start_worker(parent: int) -> None:
    """Use one thread, and end this process when the process `parent` has ended."""
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def arm_settings(
    raw: dict, values: dict, options: argparse.Namespace, seed: int, kimg: float
) -> RunSettings:
    """Settings of one arm: those of params, of fine-tuning if --init is given, and `values`."""
    snapshots = round(kimg / options.snapshot_kimg)
    deployed = (
        check_params(raw)
        .sampling[options.deployed[0]]
        .model_copy(update={"adapter": False, "guidance": ()})
    )
    common = {
        "seed": seed,
        "train.init_from": str(options.init) if options.init else None,
        "train.total_kimg": kimg,
        "structure.sampler": deployed.model_dump(mode="json"),
        "ema.snapshots": snapshots,
    }
    if options.init:
        common |= {
            "train.lr_ramp_kimg": min(5.0, options.kimg / 8),
            "train.lr_decay_kimg": 0.0,
            "train.held_out_every_kimg": options.kimg / 4,
            "structure.start_kimg": 0.0,
        }
    if options.lr is not None:
        common["train.lr"] = options.lr
    if options.every is not None:
        common["structure.every"] = options.every
    # Here no sampler switches the adapter on: questions() does so for the arms that trained one.
    common |= {f"sampling.{name}.adapter": False for name in raw.get("sampling", {})}
    params = check_params(with_values(raw, common | values), "the study's params")
    settings = params.run_settings().model_copy(update={"sample_every_kimg": None})
    if params.structure.kind == "none":  # nothing of the game is left in a control
        plain = params.model.model_copy(update={"adapter_rank": 0})
        settings = settings.model_copy(
            update={"structure": StructureConfig(kind="none"), "model": plain}
        )
    return settings


def same_plain(folder: Path, control: Path) -> int:
    """Check that an arm without its adapter equals its control; returns the number of snapshots.

    Raises ValueError if a tensor differs, or if they have no snapshot at the same image.
    """
    names = [path.name for path in sorted((folder / "snapshots").glob("*.safetensors"))]
    common = [name for name in names if (control / "snapshots" / name).exists()]
    for name in common:
        own, _ = load_tensors(folder / "snapshots" / name)
        other, _ = load_tensors(control / "snapshots" / name)
        changed = [key for key in other if not torch.equal(own[key], other[key])]
        if changed:
            raise ValueError(f"{folder.name} is not its control with the adapter off: {changed[0]}")
    if not common:
        raise ValueError(
            f"{folder.name} and its control have no snapshot at the same image: choose --kimg so "
            "that it is a multiple of four training batches"
        )
    return len(common)


def check_same_settings(runs: dict, inputs: dict) -> None:
    """Raise ValueError if a folder holds a run of other settings, starting weights or data.

    Settings that an earlier version wrote are read by `earlier_settings`. Writes the notes of runs.
    """
    for settings, folder in runs.values():
        notes = folder / "settings.json", folder / "inputs.json"
        other = None
        if notes[0].exists() and earlier_settings(notes[0].read_text()) != settings:
            other = "settings"
        elif notes[1].exists() and notes[1].read_text() != json.dumps(inputs):
            other = "starting weights or another data set"
        if other is not None:
            raise ValueError(
                f"{folder} holds a run of other {other}: give another --out, or remove it"
            )
        folder.mkdir(parents=True, exist_ok=True)
        # With all defaults: a default that changes later does not change what this run was.
        write_text(notes[0], settings.model_dump_json(indent=1))
        write_text(notes[1], json.dumps(inputs))


def earlier_settings(text: str) -> RunSettings | None:
    """Settings from JSON that this or an earlier version wrote; None if they are not valid now.

    A missing field gets its default, and a field that does not exist any more is ignored.
    """
    try:
        values = json.loads(text)
    except ValueError:
        return None
    while True:
        try:
            return RunSettings.model_validate_json(json.dumps(values))
        except ValidationError as error:
            of_unknown = ("extra_forbidden", UNKNOWN_KEY)
            unknown = [e["loc"] for e in error.errors() if e["type"] in of_unknown]
            if not unknown:
                return None
            for location in unknown:
                _remove(values, location)


def _remove(values: Any, location: Sequence[int | str]) -> None:
    """Delete the entry at pydantic's location, in which names of union members occur too."""
    *path, key = location
    for part in path:
        if isinstance(values, list) or part in values:
            values = values[part]
    del values[key]


def train_all(pool: ProcessPoolExecutor, runs: dict, options: argparse.Namespace) -> dict:
    """Train what is not finished; {(arm, seed): seconds}. Raises ValueError that names the arm."""
    seconds: dict = {}
    finished = {key for key, (_, folder) in runs.items() if (folder / "train.json").is_file()}
    with progress("structure: training runs", len(runs)) as report:
        tasks = {
            pool.submit(
                train_arm, settings.model_dump_json(), str(options.dataset), str(folder)
            ): key
            for key, (settings, folder) in sorted(runs.items(), key=lambda item: item[0][1])
        }
        report(len(finished))  # they take no time, so the time left is not reckoned from them
        for task in as_completed(tasks):
            try:
                seconds[tasks[task]] = task.result()
            except Exception as error:
                arm, seed = tasks[task]
                pool.shutdown(wait=False, cancel_futures=True)
                print(f"{arm}, seed {seed}: {error}; waiting for the runs under way", flush=True)
                raise ValueError(f"{arm}, seed {seed}: {error}") from error
            report(len(finished.union(seconds)))
    return seconds
