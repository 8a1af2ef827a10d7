"""One unit of the study: an arm and a seed, trained and judged, or a sampler of the teacher."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.store import ImageDataset
from evaluation.pictures import sample_grid
from evaluation.reference import load_reference
from foundation.atomic_files import write_text
from foundation.json_hash import json_hash
from foundation.workers import World
from models.config import EMAConfig
from models.ema_reconstruction import snapshot_name
from models.neighbours import nearest_in
from models.weights import file_hash
from pipelines.settings.schema import Params
from pipelines.workspace.paths import grid_cache
from sampling.config import SamplerConfig
from studies.distil.arms import CONTROL, GAME, Arm
from studies.judged_images import SHOWN_IMAGES, judged_images
from studies.standing_row import standing_row
from training.events import Event, Logged
from training.loop import train
from training.run_settings import RunSettings
from training.structure.config import StructureConfig
from training.students import STUDENTS, StudentConfig

NAME = "student"
LENGTH = 0.05  # the tracked average that is judged
METRICS = (
    *("kid", "fd", "recall", "coverage", "precision", "structure_gap", "lid_ratio"),
    *("knn_distance_w1", "knn_two_sample", "conditional_accuracy"),
)


LATER = ("rank", "adversarial", "adversarial_critic", "adversarial_start_kimg")
"""Settings of students that did not exist when the first rows were made: they are part of a row's
fingerprint only where they differ from their default, so that those rows stand."""


@dataclass(frozen=True)
class Given:
    """What all units share."""

    params: Params
    teacher: Path
    dataset: Path
    reference: Path
    work: Path
    """Folder of checkpoints and pairs."""
    rows: Path
    """Folder of finished rows."""
    images: int


def unit_settings(given: Given, arm: Arm, seed: int) -> RunSettings:
    """The training of an arm with a seed, at the study's own times."""
    game = StructureConfig(kind="none")
    if arm.game is not None:
        sampler = arm.sampler(max(arm.evaluations)).model_copy(update={"adapter": False})
        game = StructureConfig(kind=arm.game, sampler=sampler, **GAME | arm.game_changes)
    settings = _control(given, arm, game) if arm.kind == CONTROL else _student(given, arm, game)
    times = {
        "log_every_kimg": max(1.0, arm.kimg / 50),
        "held_out_every_kimg": max(1.0, arm.kimg / (4 if arm.kind == CONTROL else 1)),
    }
    return settings.model_copy(
        update={
            "seed": seed,
            "train": settings.train.model_copy(update=times),
            "ema": EMAConfig(tracked=(LENGTH, 0.10), snapshots=4, lengths=(LENGTH,)),
            "checkpoint_every_s": 60.0,
            "sample_every_kimg": None,
            "grid_cache": str(grid_cache()),
            "pairs_cache": str(given.work / "pairs"),
        }
    )


def _student(given: Given, arm: Arm, game: StructureConfig) -> RunSettings:
    student: StudentConfig = STUDENTS[arm.kind](
        samplers=("student",),
        total_kimg=arm.kimg,
        lr=arm.lr,
        structure=game,
        **arm.student_changes(),
    )
    params = given.params.model_copy(update={"students": {NAME: student}})
    return params.student_settings(NAME, str(given.teacher))


def _control(given: Given, arm: Arm, game: StructureConfig) -> RunSettings:
    """The teacher trained on, with its adapter for the game."""
    settings = given.params.run_settings()
    train = {
        "init_from": str(given.teacher),
        "total_kimg": arm.kimg,
        "lr": arm.lr,
        "lr_ramp_kimg": min(5.0, arm.kimg / 8),
        "lr_decay_kimg": 0.0,
        **arm.changes,
    }
    model = settings.model.model_copy(
        update={"adapter_rank": settings.model.adapter_rank if arm.game else 0}
    )
    return settings.model_copy(
        update={
            "train": settings.train.model_copy(update=train),
            "structure": game,
            "model": model,
        }
    )


def without_later(student: StudentConfig, plain: dict[str, Any]) -> dict[str, Any]:
    """The student's settings `plain` without those of LATER that have their default value."""
    fields = type(student).model_fields
    default = {n for n in LATER if n in fields and getattr(student, n) == fields[n].default}
    return {name: value for name, value in plain.items() if name not in default}


def fingerprint(given: Given, facts: Any) -> str:
    """Hash of a unit's settings and inputs; the code is not part of it."""
    inputs = {
        "teacher": file_hash(given.teacher),
        "dataset": ImageDataset(given.dataset).content_hash,
        "reference": file_hash(given.reference / "reference.json"),
        "images": given.images,
    }
    return json_hash([facts, inputs])[:16]


def row_path(given: Given, name: str, arm: Arm, seed: int, variant: str = "") -> Path:
    """The file of a unit's row."""
    stem = f"{name}-{seed}-{arm.kimg:g}-{arm.lr:g}" + (f"-{variant}" if variant else "")
    return given.rows / f"{stem}.json"


def run_folder(given: Given, name: str, seed: int, mark: str) -> Path:
    """Where the training of a unit keeps its checkpoints and snapshots."""
    return given.work / "runs" / f"{name}-{seed}-{mark}"


def unit_mark(given: Given, arm: Arm, settings: RunSettings) -> str:
    """The fingerprint of an arm's training with these settings, and of how it is judged."""
    plain = settings.model_dump(mode="json")
    for where in ("teacher", "pairs_cache", "grid_cache", "checkpoint_every_s", "micro_batch"):
        plain.pop(where)
    if settings.student is not None:
        plain["student"] = without_later(settings.student, plain["student"])
    plain["train"]["init_from"] = None  # the teacher, which the fingerprint knows by its content
    return fingerprint(given, [plain, arm.evaluations])


def train_unit(given: Given, name: str, arm: Arm, seed: int, variant: str = "") -> dict:
    """Train and judge an arm with a seed, unless its row stands; returns the row.

    variant: what was changed of the arm, for the row.
    """
    path = row_path(given, name, arm, seed, variant)
    settings = unit_settings(given, arm, seed)
    mark = unit_mark(given, arm, settings)
    kept = standing_row(path, mark)
    if kept is not None:
        return kept
    folder = run_folder(given, name, seed, mark)
    speeds: list[float] = []

    def report(event: Event) -> None:
        if isinstance(event, Logged):
            speeds.append(event.img_per_s)
            values = {k: round(v, 4) for k, v in event.metrics.items() if "lr" not in k}
            print(f"{name}-{seed} {event.nimg / 1000:g} kimg {values}", flush=True)

    start = time.process_time()
    summary = train(settings, ImageDataset(given.dataset), folder, World(), report)
    weights = folder / "snapshots" / snapshot_name(settings.total_nimg, LENGTH)
    row = {
        "arm": name,
        "seed": seed,
        "kimg": arm.kimg,
        "lr": arm.lr,
        "variant": variant,
        "fingerprint": mark,
        "nimg": settings.total_nimg,
        "processor_seconds": round(time.process_time() - start, 1),
        "img_per_s": round(float(np.median(speeds)), 1) if speeds else None,
        "gate": summary.get("gate"),
        "plays": summary.get("structure_plays"),
        "metrics": {
            str(count): judged(given, weights, arm.sampler(count), f"{path.stem}-{count}")
            for count in arm.evaluations
        },
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row


def teacher_unit(given: Given, name: str, sampler: SamplerConfig) -> dict:
    """Judge the teacher with a sampler, unless its row stands; returns the row."""
    path = given.rows / f"teacher-{name}.json"
    mark = fingerprint(given, sampler.model_dump(mode="json"))
    kept = standing_row(path, mark)
    if kept is not None:
        return kept
    row = {
        "arm": f"teacher, {name}",
        "fingerprint": mark,
        "nfe": sampler.nfe,
        "metrics": {str(sampler.nfe): judged(given, given.teacher, sampler, path.stem)},
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row


def judged(given: Given, weights: Path, sampler: SamplerConfig, name: str) -> dict:
    """{metric: {value, floor, floor_std}} of images, and how near they lie to training images.

    Draws a picture of the first into the folder of work.
    """
    config = given.params.evaluation.model_copy(update={"num_images": given.images})
    real = load_reference(given.reference, config.inception_path)
    pixels, metrics = judged_images(
        weights, sampler, ImageDataset(given.dataset), real, config, given.work / "floors"
    )
    pictures = given.work / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    sample_grid(pixels[:SHOWN_IMAGES]).save(pictures / f"{name}.png")
    found = {
        key: {part: metrics[key].get(part) for part in ("value", "floor", "floor_std")}
        for key in METRICS
        if key in metrics
    }
    distance = nearest_distance(real.extractor.features(pixels), real.train_features)
    floor = nearest_distance(real.held_out_features, real.train_features)
    found["nearest_train"] = {"value": distance, "floor": floor, "floor_std": None}
    return found


def nearest_distance(features: np.ndarray, train: np.ndarray) -> float:
    """Mean Euclidean distance of features [N, F] to the nearest of those of training images."""
    own, bank = (torch.from_numpy(np.array(f, np.float32)) for f in (features, train))
    return float((own - bank[nearest_in(own, bank, 1)[:, 0]]).norm(dim=1).mean())
