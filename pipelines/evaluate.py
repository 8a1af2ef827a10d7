"""Stage evaluate: draw images of one EMA length by one sampler, and judge them."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset.store import ImageDataset
from evaluation.pictures import nearest_grid, sample_grid
from models.weights import file_hash, load_description
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import phases, progress
from pipelines.params import Params, load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.reporting.stage_outputs import flat_metrics
from pipelines.tracking.stage_run import stage_run
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
        with progress(f"evaluate {item}: images", count) as bar:
            images = generate_images(request, params.cluster, bar)
        run.log_metrics({"img_per_s": count / (time.monotonic() - start)})
        with phases(f"evaluate {item}") as report:
            result = judge(
                images, labels, reference, params.evaluation, params.seed, report, floors_cache()
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
        }
        result = about | result
        write_outputs(
            out, result, images, labels, dataset, reference, params.evaluation.picture_images
        )
        run.log_metrics(flat_metrics(result["metrics"]))
        for picture in ("samples.png", "nearest.png"):
            run.log_artifact(out / picture)
    headline = result["metrics"]
    print(
        f"evaluate {item}: {result['metric_name']} {headline['fd']['value']:.4g} "
        f"(floor {headline['fd']['floor']:.4g}), KID {headline['kid']['value']:.4g} "
        f"(floor {headline['kid']['floor']:.4g})"
    )


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


def write_outputs(
    out: Path,
    result: dict,
    images: np.ndarray,
    labels: np.ndarray,
    dataset: ImageDataset,
    reference: "Reference",
    shown: int,
) -> None:
    """Write samples.png, nearest.png and, last of all, metrics.json into `out`."""
    out.mkdir(parents=True)
    chosen = images[:shown]
    grid = sample_grid(chosen, labels=labels[:shown], label_names=dataset.label_names)
    grid.save(out / "samples.png")
    nearest_grid(
        chosen,
        dataset.images,
        reference.train_indices,
        sample_features=reference.extractor.features(chosen),
        train_features=reference.train_features,
    ).save(out / "nearest.png")
    (out / "metrics.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    run_stage(main)
