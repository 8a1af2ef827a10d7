"""Stage evaluate: draw images of one EMA length by one sampler, and judge them."""

import json
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset.store import ImageDataset
from evaluation.judged_alike import judged_by
from evaluation.pictures import nearest_grid, sample_grid
from evaluation.sheets.real_images import classes_without, real_counterparts
from models.weights import file_hash, load_description
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import phases
from pipelines.params import Params, load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.reporting.stage_outputs import flat_metrics
from pipelines.tracking.stage_run import JUDGED_BY, stage_run
from pipelines.workspace.fingerprint import item_fingerprint, pipeline_tag
from pipelines.workspace.litter import sweep_up
from pipelines.workspace.paths import (
    DATASET,
    EMA,
    EVALUATE,
    REFERENCE,
    dvc_root,
    floors_cache,
    grid_cache,
    item_name,
    length_name,
)
from pipelines.workspace.weights_files import with_guiding_files
from sampling.config import SamplerConfig
from sampling.labels import generation_labels
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from evaluation.reference import Reference


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--length", type=float, required=True, help="EMA length, e.g. 0.1")
    arguments.add_argument("--sampler", required=True, help="a name under `sampling` in params")
    args = arguments.parse_args()
    # These bring torch, which --help does without.
    from evaluation.judge import judge
    from evaluation.reference import load_reference
    from pipelines.ray_jobs.generation import generate_images

    params = load_params(args.params)
    hide_gpus(params.cluster)
    if args.sampler not in params.sampling:
        raise ValueError(f"--sampler {args.sampler}: params name {', '.join(params.sampling)}")
    item = item_name(args.length, args.sampler)
    sampler = with_guiding_files(params.sampling[args.sampler], args.sampler)
    fingerprint = item_fingerprint(params, args.length, args.sampler)
    dataset = ImageDataset(DATASET)
    reference = load_reference(REFERENCE, params.evaluation.inception_path)
    sweep_up(dvc_root())
    out = EVALUATE / item
    shutil.rmtree(out, ignore_errors=True)
    with stage_run(
        "evaluate", params, pipeline_tag(params), fingerprint, root=dvc_root(), item=item
    ) as run:
        request = asked_images(params, sampler, args.length, dataset, reference.train_indices)
        labels, count = request.labels, params.evaluation.num_images
        start = time.monotonic()
        with phases(f"evaluate {item}") as report:
            images = generate_images(request, params.cluster, partial(report, "sampling"))
            run.log_metrics({"img_per_s": count / (time.monotonic() - start)})
            result = judge(
                images, labels, reference, params.evaluation, params.seed, report, floors_cache()
            )
            shown = images[: params.evaluation.picture_images]
            shown_features = reference.extractor.features(
                shown, params.evaluation.batch_size, partial(report, "nearest images")
            )
        about = {
            "item": item,
            "ema_length": args.length,
            "sampler": args.sampler,
            "weights_sha256": file_hash(EMA / f"{length_name(args.length)}.safetensors"),
            "nfe": sampler.nfe,
            "network_evaluations": sampler.network_evaluations(grid_cache()),
            "sigmas": sampler.time_grid(grid_cache()).tolist(),
            "num_images": count,
            **unseen_classes(labels, params.evaluation.picture_images, dataset.label_names),
        }
        result = about | result
        write_outputs(out, result, shown, shown_features, labels, dataset, reference)
        run.log_metrics(flat_metrics(result["metrics"]))
        run.set_tags({JUDGED_BY: json.dumps(judged_by(result["protocol"], dataset.manifest))})
        for picture in ("samples.png", "real.png", "nearest.png"):
            run.log_artifact(out / picture)
        numbers = result["metrics"]
        headline = (
            f"{result['metric_name']} {numbers['fd']['value']:.4g} (floor "
            f"{numbers['fd']['floor']:.4g}), KID {numbers['kid']['value']:.4g} (floor "
            f"{numbers['kid']['floor']:.4g})"
        )
        sides = {"samples.png": "generated images (left)", "real.png": "real images (right)"}
        run.describe(headline, {out / name: what for name, what in sides.items()})
    print(f"evaluate {item}: {headline}")


def asked_images(
    params: Params,
    sampler: SamplerConfig,
    length: float,
    dataset: ImageDataset,
    train_indices: np.ndarray,
) -> GenerationRequest:
    """The request for images of one EMA length; classes are as frequent as in training images.

    train_indices: the training images against which they are judged.
    """
    count = params.evaluation.num_images
    weights = EMA / f"{length_name(length)}.safetensors"
    conditional = load_description(weights)["num_classes"] > 0
    return GenerationRequest(
        sampler=sampler,
        seed=params.seed,
        indices=range(count),
        labels=generation_labels(
            dataset, params.seed, count, conditional=conditional, images=train_indices
        ),
        batch_size=params.evaluation.batch_size,
        weights=str(weights),
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
    classes = labels[: len(shown)]
    real = dataset.images[real_counterparts(dataset, classes)]
    for name, pixels in (("samples", shown), ("real", real)):
        grid = sample_grid(pixels, labels=classes, label_names=dataset.label_names)
        grid.save(out / f"{name}.png")
    nearest_grid(
        shown,
        dataset.images,
        reference.train_indices,
        sample_features=shown_features,
        train_features=reference.train_features,
    ).save(out / "nearest.png")
    (out / "metrics.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    run_stage(main)
