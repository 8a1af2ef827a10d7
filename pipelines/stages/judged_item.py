"""Draws the images of one item, judges them, and writes what summarize reads."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset.store import ImageDataset
from evaluation.judged_alike import judged_by
from evaluation.metric_table import metric_entry
from evaluation.pictures import nearest_grid, sample_grid
from evaluation.sheets.real_images import classes_without, real_counterparts
from foundation.atomic_files import replacing, write_text
from models.weights import file_hash, load_description
from pipelines.console.progress import phases
from pipelines.reporting.stage_outputs import flat_metrics
from pipelines.settings.schema import Params
from pipelines.tracking.stage_run import JUDGED_BY, StageRun
from pipelines.workspace.paths import floors_cache, grid_cache
from sampling.config import SamplerConfig
from sampling.labels import generation_labels
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluation.reference import Reference
    from sampling.drawing.tally import EvaluationTally

PICTURES = ("samples.png", "real.png", "nearest.png")
METRICS = "metrics.json"
"""Written last."""


@dataclass(frozen=True)
class Subject:
    """What an item judges: weights under a sampler."""

    item: str
    weights: Path
    ema_length: float
    sampler_name: str
    sampler: SamplerConfig
    facts: dict[str, Any] = field(default_factory=dict)
    """Further facts for metrics.json."""


def judge_item(
    params: Params,
    subject: Subject,
    dataset: ImageDataset,
    reference: "Reference",
    out: Path,
    run: StageRun,
) -> str:
    """Draw, judge and write the files of one item into the new folder `out`; returns a headline.

    Prints progress and logs numbers and pictures to `run`.
    """
    # These bring torch, which --help does without.
    from evaluation.fairness.wanted import wanted_shares
    from evaluation.judge import judge
    from pipelines.ray_jobs.generation import generate_images, on_workers
    from sampling.drawing.tally import EvaluationTally

    request = asked_images(params, subject, dataset, reference.train_indices)
    labels, count = request.labels, params.evaluation.num_images
    groups = dataset.groups_of(labels)
    target = params.evaluation.target
    wanted = None if target is None else wanted_shares(target, dataset, reference)
    with phases(f"evaluate {subject.item}") as report:
        if subject.sampler.grid == "fitted":
            report("fitting the time grid", 0, None)
        request = on_workers(request)
        sampler = request.sampler
        tally = EvaluationTally(count, sampler.guidance) if sampler.counts_calls else None
        start = time.monotonic()
        images = generate_images(request, params.cluster, partial(report, "sampling"), tally)
        run.log_metrics({"img_per_s": count / (time.monotonic() - start)})
        result = judge(
            *(images, groups, reference, params.evaluation, params.seed, report),
            floors=floors_cache(),
            wanted=wanted,
        )
        result["metrics"] |= latent_floor(params, subject, dataset, reference, report)
        shown = images[: params.evaluation.picture_images]
        shown_features = reference.extractor.features(
            shown, params.evaluation.batch_size, partial(report, "nearest images")
        )
    about = {
        "item": subject.item,
        "ema_length": subject.ema_length,
        "sampler": subject.sampler_name,
        **subject.facts,
        "weights_sha256": file_hash(subject.weights),
        **evaluations(sampler, tally),
        "num_images": count,
        **unseen_classes(groups, params.evaluation.picture_images, dataset.group_names),
    }
    write_outputs(out, about | result, shown, shown_features, labels, dataset, reference)
    return log_item(out, dataset, run)


def evaluations(sampler: SamplerConfig, tally: "EvaluationTally | None") -> dict[str, Any]:
    """Evaluations per image and noise levels, as metrics.json has them.

    tally: of a solver whose images choose their steps, which has no levels for all.
    """
    if tally is not None:
        return tally.facts()
    return {
        "nfe": sampler.nfe,
        "network_evaluations": sampler.network_evaluations(grid_cache()),
        "sigmas": sampler.time_grid(grid_cache()).tolist(),
    }


def latent_floor(
    params: Params,
    subject: Subject,
    dataset: ImageDataset,
    reference: "Reference",
    report: Callable[[str, int, int | None], None],
) -> dict[str, dict]:
    """What real images lose in the subject's autoencoder, as metrics; {} for pixels.

    Raises WeightsError where the autoencoder is not there.
    """
    from models.codecs import LatentCodec, make_codec  # brings torch

    codec = make_codec(load_description(subject.weights).get("codec"))
    if not isinstance(codec, LatentCodec):
        return {}
    from pipelines.stages.reconstruction_floor import reconstruction_floor

    codec.look_near(subject.weights)
    return reconstruction_floor(
        codec.network,
        codec.autoencoder,
        dataset.images[dataset.held_out_indices],
        reference,
        params.evaluation,
        params.evaluation.num_images,
        params.seed,
        partial(report, "reconstructions of held-out images"),
        floors_cache(),
    )


def log_item(out: Path, dataset: ImageDataset, run: StageRun) -> str:
    """Log the numbers and pictures of a judged item to `run`; returns its headline."""
    result = json.loads((out / METRICS).read_text())
    run.log_metrics(flat_metrics(result["metrics"]) | counted_evaluations(result))
    run.set_tags({JUDGED_BY: json.dumps(judged_by(result["protocol"], dataset.manifest))})
    for picture in PICTURES:
        run.log_artifact(out / picture)
    numbers = result["metrics"]
    headline = (
        f"{result['metric_name']} {numbers['fd']['value']:.4g} ({_floors(numbers, 'fd')}), "
        f"KID {numbers['kid']['value']:.4g} ({_floors(numbers, 'kid')})"
    )
    for name in ("fairness_discrepancy", "target_kid"):
        if name in numbers:
            title, value = metric_entry(name).title, numbers[name]["value"]
            headline += f", {title} {value:.4g} ({_floors(numbers, name)})"
    sides = {"samples.png": "generated images (left)", "real.png": "real images (right)"}
    run.describe(headline, {out / name: what for name, what in sides.items()})
    return headline


def counted_evaluations(result: Mapping[str, Any]) -> dict[str, float]:
    """NFE of an item whose images took different numbers: mean, least and most; {} of others."""
    names = ("nfe", "nfe_min", "nfe_max")
    return {name: float(result[name]) for name in names} if "nfe_min" in result else {}


def _floors(numbers: Mapping[str, Mapping[str, float]], name: str) -> str:
    """The floor of a metric, and of latents the second one, in words."""
    second = numbers.get(f"{name}_reconstruction")
    told = "" if second is None else f", of reconstructions {second['value']:.4g}"
    return f"floor {numbers[name]['floor']:.4g}{told}"


def asked_images(
    params: Params, subject: Subject, dataset: ImageDataset, train_indices: np.ndarray
) -> GenerationRequest:
    """The request for a subject's images; classes are as frequent as in training images.

    train_indices: the training images against which they are judged.
    """
    count = params.evaluation.num_images
    conditional = load_description(subject.weights)["num_classes"] > 0
    return GenerationRequest(
        sampler=subject.sampler,
        seed=params.seed,
        indices=range(count),
        labels=generation_labels(
            dataset, params.seed, count, conditional=conditional, images=train_indices
        ),
        batch_size=params.evaluation.batch_size,
        weights=str(subject.weights),
    )


def unseen_classes(labels: np.ndarray, shown: int, names: list[str]) -> dict[str, list[str]]:
    """Names of the classes of which no image is drawn, and of those that no picture shows.

    labels: of all generated images; all -1 (no classes were asked for) gives empty lists.
    """
    if labels.max(initial=-1) < 0:
        names = []
    return {
        "classes_without_image": classes_without(labels, names),
        "classes_without_picture": classes_without(labels[:shown], names),
    }


def write_outputs(
    out: Path,
    result: dict,
    shown: np.ndarray,
    shown_features: np.ndarray,
    labels: np.ndarray,
    dataset: ImageDataset,
    reference: "Reference",
) -> None:
    """Write samples.png, real.png, nearest.png and, last of all, metrics.json into `out`.

    shown: the first of the images that have `labels`; shown_features: of the reference's extractor.
    real.png has real images of the classes of samples.png, at the same places.
    """
    out.mkdir(parents=True)
    asked = labels[: len(shown)]
    classes = dataset.groups_of(asked)
    real = dataset.images[real_counterparts(dataset, asked)]
    for name, pixels in (("samples", shown), ("real", real)):
        grid = sample_grid(pixels, labels=classes, label_names=dataset.group_names)
        _save(grid, out / f"{name}.png")
    nearest = nearest_grid(
        shown,
        dataset.images,
        reference.train_indices,
        sample_features=shown_features,
        train_features=reference.train_features,
    )
    _save(nearest, out / "nearest.png")
    write_text(out / METRICS, json.dumps(result, indent=1) + "\n")


def _save(picture: "Image", path: Path) -> None:
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")
