"""One unit of the study: an arm and a seed, trained, steered and judged."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.store import ImageDataset
from evaluation.classifier import train_classifier
from evaluation.fairness.wanted import wanted_shares
from evaluation.judge import judge
from evaluation.pictures import sample_grid
from evaluation.reference import build_reference, load_reference
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from foundation.workers import World
from models.attribute_bank import BETWEEN
from models.attribute_predictor import AttributeOfImages
from models.denoiser import Denoiser, load_denoiser
from models.ema_reconstruction import snapshot_name
from models.extractors.classifier import load_classifier
from models.weights import file_hash, tensors_hash
from pipelines.settings.schema import Params
from sampling.config import SamplerConfig
from sampling.generate import generate_batches
from sampling.request import GenerationRequest
from studies.debias.arms import GROUP, Arm, Training, row_name
from studies.debias.controls import ClassShift, CleanAnswers, class_means
from studies.debias.data import evened, skewed, write_dataset
from training.attributes.bank import SURER, unlabelled_images
from training.attributes.labelled_images import labelled_rows
from training.attributes.predictor import fit
from training.events import Event, Logged
from training.loop import train
from training.run_settings import RunSettings

LENGTH = 0.1
METRICS = (
    *("fairness_discrepancy", "fairness_discrepancy_uncorrected", "share_error"),
    *("target_kid", "kid", "coverage"),
)
GENERATION_SEED = 20_000
"""Of what judges; images and their labels are drawn by it plus the seed of the unit."""
OPTIMISER: dict[str, Any] = {"optimizer": "muon", "lr": 0.1}
"""Of all trainings: a lead had it need half of adam's images (docs/experiment_log.md,
2026-11-30)."""
CLEAN_SEED = 7
"""Of the classifier that guides, which is not the one that judges."""


@dataclass(frozen=True)
class Given:
    """What all units share."""

    data: str
    """Name of the data in those of the rows."""
    params: Params
    source: Path
    """Prepared data set from which the skewed one is cut."""
    shares: Mapping[str, float]
    """{class: share of the training images}."""
    target: Mapping[str, float]
    classifier: Path | None
    """Weights of the judge; None: it is trained on the skewed data."""
    work: Path
    rows: Path
    train_images: int = 5000
    held_out: int = 1500
    """Of each class."""
    images: int = 4096
    """Drawn and judged."""
    labelled: int = 200
    """Images from which predictors, means and guiding classifiers learn."""
    kimg: float = 200.0
    steps: int = 10
    """Of Heun."""

    def facts(self) -> list[Any]:
        """What decides a row besides arm and seed."""
        judge_hash = None if self.classifier is None else file_hash(self.classifier)
        own = [self.shares, self.target, self.train_images, self.held_out, self.images]
        own += [self.labelled, self.kimg, self.steps, judge_hash, OPTIMISER]
        params = self.params.model_dump(mode="json")
        kept = {key: params[key] for key in ("model", "noise", "train", "evaluation")}
        return [own, kept, ImageDataset(self.source).content_hash]


def datasets(given: Given) -> dict[str, ImageDataset]:
    """{"plain", "resampled"}: the skewed data set, and the same with rare images repeated."""
    source = ImageDataset(given.source)
    asked = [given.shares, given.target, given.train_images, given.held_out, source.content_hash]
    folder = given.work / f"data-{json_hash(asked)[:16]}"
    rows, split = skewed(source, given.shares, given.train_images, given.held_out)
    even = evened(
        source.group_labels[rows],
        split,
        {source.group_names.index(name): share for name, share in given.target.items()},
    )
    sets = {"plain": (rows, split), "resampled": (rows[even], split[even])}
    out = {}
    for name, (chosen, side) in sets.items():
        if not (folder / name / "dataset.json").is_file():
            write_dataset(source, chosen, side, folder / name)
        out[name] = ImageDataset(folder / name)
    return out


def reference_of(given: Given, dataset: ImageDataset) -> Path:
    """The folder of the reference of the skewed data."""
    known = None if given.classifier is None else file_hash(given.classifier)[:16]
    folder = given.work / f"reference-{dataset.content_hash[:16]}-{known}"
    if not (folder / "reference.json").is_file():
        trained = None if given.classifier is None else load_classifier(given.classifier)
        build_reference(dataset, given.params.evaluation, folder, trained=trained)
    return folder


def settings_of(given: Given, training: Training, seed: int) -> RunSettings:
    """The settings of one of the three trainings."""
    settings = given.params.run_settings()
    model = settings.model.model_copy(
        update={"class_conditional": training == "labelled", "adapter_rank": 0}
    )
    times: dict[str, Any] = {
        "total_kimg": given.kimg,
        "lr_ramp_kimg": min(20, given.kimg / 8),
        "lr_decay_kimg": given.kimg / 4,
        "log_every_kimg": max(1.0, given.kimg / 20),
        "held_out_every_kimg": given.kimg,
        **OPTIMISER,
    }
    return settings.model_copy(
        update={
            "seed": seed,
            "model": model,
            "train": settings.train.model_copy(update=times),
            "structure": settings.structure.model_copy(update={"kind": "none"}),
            "ema": settings.ema.model_copy(
                update={"tracked": (0.05, LENGTH), "snapshots": 2, "lengths": (LENGTH,)}
            ),
            "checkpoint_every_s": 60.0,
            "sample_every_kimg": None,
        }
    )


def trained(given: Given, training: Training, seed: int) -> Path:
    """Weights of one of the trainings, which goes on where it stopped."""
    dataset = datasets(given)["resampled" if training == "resampled" else "plain"]
    settings = settings_of(given, training, seed)
    mark = json_hash([settings.model_dump(mode="json"), dataset.content_hash])[:16]
    folder = given.work / "runs" / f"{training}-{seed}-{mark}"
    weights = folder / "snapshots" / snapshot_name(settings.total_nimg, LENGTH)
    if not (folder / "done").is_file():

        def report(event: Event) -> None:
            if isinstance(event, Logged):
                print(f"{training}-{seed} {event.nimg / 1000:g} kimg", flush=True)

        train(settings, dataset, folder, World(), report)
        write_text(folder / "done", "")
    return weights


def steered(
    given: Given, arm: Arm, denoiser: Denoiser, seed: int
) -> tuple[Any, SamplerConfig, Any, np.ndarray]:
    """(denoiser, sampler, guide, labels) that draw the arm's images."""
    dataset = datasets(given)["plain"]
    names, count = list(given.target), given.images
    sampler = SamplerConfig(solver="heun", grid="karras", steps=given.steps)
    asked = np.random.default_rng(GENERATION_SEED + seed).choice(
        len(names), count, p=list(given.target.values())
    )
    none = np.full(count, -1)
    if arm.way == "none":
        return denoiser, sampler, None, none
    if arm.way == "labels":
        numbers = np.array([dataset.group_names.index(name) for name in names])
        return denoiser, sampler, None, numbers[asked]
    assert arm.weight is not None  # all other ways have one
    rows, values, _ = labelled_rows(dataset, names, given.labelled, seed)
    images = denoiser.codec.encode(dataset.stored(rows)[0])
    if arm.way == "shift":
        means = class_means(denoiser, images, values, len(names), seed)
        shares = torch.bincount(values, minlength=len(names)) / len(values)
        return ClassShift(denoiser, means, shares, arm.weight), sampler, None, asked
    guide: Any
    if arm.way == "clean":
        numbers = np.array([dataset.group_names.index(name) for name in names])
        labels = np.full(len(dataset), -1)
        labels[rows] = numbers[values.numpy()]
        classifier, _ = train_classifier(
            dataset.images, labels, dataset.num_groups, rows, rows, seed=CLEAN_SEED + seed
        )
        shares = (np.bincount(values.numpy(), minlength=len(names)) / len(values)).tolist()
        guide = CleanAnswers(denoiser, classifier, names, numbers.tolist(), shares)
    else:
        others = unlabelled_images(denoiser, dataset, dataset.train_indices, rows, arm.bank, seed)
        known = (denoiser, images, values, names, given.params.noise)
        predictor = fit(*known, seed=seed, unlabelled=others).predictor
        guide = AttributeOfImages(denoiser, predictor, tensors_hash(denoiser.state_dict()))
    kind = "distribution" if arm.way == "distribution" else "marginal"
    entry: dict[str, Any] = {"kind": kind, "target": dict(given.target), "weight": arm.weight}
    if kind == "distribution":
        entry["group"] = GROUP
    guided = SamplerConfig.model_validate({**sampler.model_dump(), "guidance": (entry,)})
    return denoiser, guided, guide, none


def unit(given: Given, name: str, arm: Arm, seed: int) -> dict:
    """Train, steer and judge an arm with a seed, unless its row stands; returns the row."""
    path = given.rows / f"{row_name(given.data, name, arm, seed)}.json"
    own = [arm.training, arm.way, arm.weight, *([arm.bank, BETWEEN, SURER] if arm.bank else [])]
    mark = json_hash([given.facts(), own, seed])[:16]
    if path.is_file() and (kept := read_object(path)).get("fingerprint") == mark:
        return kept
    weights = trained(given, arm.training, seed)
    base = load_denoiser(weights)
    start = time.process_time()
    denoiser, sampler, guide, labels = steered(given, arm, base, seed)
    learning = time.process_time() - start
    request = GenerationRequest(
        sampler=sampler,
        seed=GENERATION_SEED + seed,
        indices=range(given.images),
        labels=labels,
        batch_size=2 * GROUP,
    )
    start = time.process_time()
    batches = list(generate_batches(denoiser, request, guide=guide))
    drawing = time.process_time() - start
    pixels = np.concatenate([base.codec.decode(batch) for batch in batches])
    dataset = datasets(given)["plain"]
    reference = load_reference(reference_of(given, dataset))
    wanted = wanted_shares(given.target, dataset, reference)
    result = judge(
        *(pixels, None, reference, given.params.evaluation, GENERATION_SEED),
        floors=given.work / "floors",
        wanted=wanted,
    )
    pictures = given.work / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    sample_grid(pixels[:64]).save(pictures / f"{path.stem}.png")
    row = {
        "data": given.data,
        "arm": name,
        "seed": seed,
        "fingerprint": mark,
        "weight": arm.weight,
        "guidance": [entry.model_dump(mode="json") for entry in sampler.guidance],
        "seconds_to_learn": round(learning, 1),
        "seconds_per_1000": round(drawing / given.images * 1000, 1),
        "metrics": {
            key: {
                part: result["metrics"][key].get(part) for part in ("value", "floor", "floor_std")
            }
            for key in METRICS
        },
        "shares": result["shares"],
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    return row
