"""One unit of the study: an arm and a seed, trained, and measured at each of its snapshots."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.slots import slot_normal
from dataset.store import ImageDataset
from evaluation.reference import load_reference
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from foundation.workers import World
from models.config import EMAConfig
from models.denoiser import Denoiser, load_denoiser
from models.ema_reconstruction import snapshot_name
from models.weights import file_hash
from pipelines.settings.schema import Params
from pipelines.workspace.paths import grid_cache
from sampling.config import SamplerConfig
from studies.convergence.arms import Arm
from studies.judged_images import judged_images
from studies.standing_row import standing_row
from training.config import NoiseConfig
from training.events import CheckpointSaved, Event, Logged, SnapshotSaved, Started
from training.loop import train
from training.noise.levels import held_out_sigmas
from training.objectives import fixed_noise_loss
from training.run_settings import RunSettings
from training.structure.config import StructureConfig

LENGTHS = (0.05, 0.10)
"""Averages that are measured; at each snapshot the one that is better on half of the held-out
images is judged on the other half."""
SNAPSHOTS = 25
BINS = 8
JUDGED = (0.25, 0.5, 0.75, 1.0)
"""Parts of the training after which images are drawn and judged."""
SAMPLER = SamplerConfig(solver="heun", grid="karras", steps=18)


@dataclass(frozen=True)
class Given:
    """What all units share."""

    params: Params
    dataset: Path
    reference: Path
    work: Path
    """Folder of checkpoints and snapshots."""
    rows: Path
    """Folder of finished rows."""
    kimg: float
    images: int
    """Drawn and judged at each of JUDGED; 0: none."""
    held_out: int
    """Held-out images on which losses are measured, at the levels of params' noise law."""
    source: Path | None = None
    """Weights that the arms of transfer begin with."""


def unit_settings(given: Given, arm: Arm, seed: int) -> RunSettings:
    """The training of an arm with a seed: no game, no game's adapter, SNAPSHOTS snapshots.

    Raises ValueError for an arm of transfer without a source.
    """
    settings = given.params.run_settings()
    changed = {
        section: type(part).model_validate(part.model_dump() | dict(arm.changes.get(section, {})))
        for section, part in (("noise", settings.noise), ("model", settings.model))
    }
    train = settings.train.model_dump() | {
        "total_kimg": given.kimg,
        "lr": arm.lr,
        "log_every_kimg": given.kimg / 50,
        "held_out_every_kimg": given.kimg,
    }
    train |= dict(arm.changes.get("train", {}))
    if arm.transfer:
        if given.source is None:
            raise ValueError("--source: arms of transfer begin with weights: give their file")
        train["init_from"] = str(given.source)
    model = changed["model"].model_copy(update={"adapter_rank": 0})
    return settings.model_copy(
        update={
            "seed": seed,
            "model": model,
            "noise": changed["noise"],
            "train": type(settings.train).model_validate(train),
            "structure": StructureConfig(kind="none"),
            "ema": EMAConfig(tracked=LENGTHS, snapshots=SNAPSHOTS, lengths=LENGTHS),
            "checkpoint_every_s": 60.0,
            "sample_every_kimg": None,
            "grid_cache": str(grid_cache()),
        }
    )


def unit(given: Given, name: str, arm: Arm, seed: int) -> dict[str, Any]:
    """Train and measure an arm with a seed, unless its row stands; returns the row."""
    settings = unit_settings(given, arm, seed)
    mark = fingerprint(given, settings)
    path = given.rows / f"{name}-{seed}-{given.kimg:g}-{arm.lr:g}.json"
    kept = standing_row(path, mark)
    if kept is not None:
        return kept
    dataset = ImageDataset(given.dataset)
    folder = given.work / f"{name}-{seed}-{mark}"
    seconds = train_timed(settings, dataset, folder, f"{name}-{seed}")
    points: list[dict[str, Any]] = []
    for nimg in settings.snapshot_nimgs:
        files = {n: folder / "snapshots" / snapshot_name(nimg, n) for n in LENGTHS}
        halves = {n: held_out_halves(file, dataset, given) for n, file in files.items()}
        best = min(halves, key=lambda n: halves[n][0])
        measured = {"length": best, "loss": halves[best][1]}
        points.append({"nimg": nimg, "seconds": seconds[nimg], **measured})
    judged_at = {settings.snapshot_nimgs[round(SNAPSHOTS * part) - 1] for part in JUDGED}
    for point in points if given.images else []:
        if point["nimg"] in judged_at:
            weights = folder / "snapshots" / snapshot_name(point["nimg"], point["length"])
            point["metrics"] = judged(given, weights, dataset)
    row = {
        "arm": name,
        "seed": seed,
        "kimg": given.kimg,
        "lr": arm.lr,
        "fingerprint": mark,
        "points": points,
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row


def train_timed(
    settings: RunSettings, dataset: ImageDataset, folder: Path, name: str
) -> dict[int, float]:
    """{nimg of a snapshot: processor seconds of the training until it}, over all starts.

    They are noted at checkpoints too, where a stopped training goes on: what it did after its last
    one is done again, and counts once.
    """
    notes = folder / "seconds.json"
    known: dict[str, float] = read_object(notes) if notes.is_file() else {"0": 0.0}
    begin, since = time.process_time(), 0

    def so_far() -> float:
        return known[str(since)] + time.process_time() - begin

    def report(event: Event) -> None:
        nonlocal since
        if isinstance(event, Started):  # the last noted time at or before where it goes on
            since = max(int(nimg) for nimg in known if int(nimg) <= event.nimg)
        elif isinstance(event, SnapshotSaved | CheckpointSaved):
            known[str(event.nimg)] = round(so_far(), 2)
            write_text(notes, json.dumps(known) + "\n")
        elif isinstance(event, Logged):
            loss = event.metrics["denoising_loss"]
            print(
                f"{name} {event.nimg / 1000:g} kimg, loss {loss:.4f}, {event.img_per_s:.0f} img/s",
                flush=True,
            )

    folder.mkdir(parents=True, exist_ok=True)
    train(settings, dataset, folder, World(), report)
    return {int(nimg): spent for nimg, spent in known.items()}


def held_out_halves(weights: Path, dataset: ImageDataset, given: Given) -> tuple[float, float]:
    """Mean plain loss of stored weights on two halves of held-out images, at fixed noise.

    The levels are those of the law of `given.params` for every arm, and the uncertainty counts
    nothing.
    """
    denoiser, chosen = load_denoiser(weights), dataset.held_out_indices[: given.held_out]
    first, second = (
        half_loss(denoiser, dataset, chosen[half::2], given.params.noise, half) for half in (0, 1)
    )
    return first, second


def half_loss(
    denoiser: Denoiser,
    dataset: ImageDataset,
    indices: Sequence[int] | np.ndarray,
    noise: NoiseConfig,
    half: int,
) -> float:
    """Mean plain loss on these images, each at its own fixed level and noise."""
    stored, labels = dataset.stored(np.asarray(indices))
    images = denoiser.codec.encode(stored)
    sigma, _ = held_out_sigmas(noise, BINS, len(images))
    drawn = slot_normal(0, f"convergence/{half}", range(len(images)), images.shape[1:])
    losses = fixed_noise_loss(denoiser, images, labels, sigma, torch.as_tensor(drawn))
    return float(losses.double().mean())


def judged(given: Given, weights: Path, dataset: ImageDataset) -> dict[str, float]:
    """{fd, kid, recall, coverage} of images of stored weights."""
    config = given.params.evaluation.model_copy(update={"num_images": given.images})
    real = load_reference(given.reference, config.inception_path)
    _, metrics = judged_images(weights, SAMPLER, dataset, real, config, given.work / "floors")
    return {name: metrics[name]["value"] for name in ("fd", "kid", "recall", "coverage")}


def fingerprint(given: Given, settings: RunSettings) -> str:
    """Hash of a unit's settings and inputs; the code is not part of it."""
    plain = settings.model_dump(mode="json")
    for where in ("pairs_cache", "grid_cache", "checkpoint_every_s", "micro_batch"):
        plain.pop(where)
    inputs = {
        "dataset": ImageDataset(given.dataset).content_hash,
        "reference": file_hash(given.reference / "reference.json") if given.images else None,
        "images": given.images,
        "held_out": given.held_out,
        "noise": given.params.noise.model_dump(mode="json"),
    }
    if settings.train.init_from is not None:  # known by its content, wherever it lies
        plain["train"]["init_from"] = None
        inputs["source"] = file_hash(settings.train.init_from)
    return json_hash([plain, inputs])[:16]
