"""Stage evaluate: draw images of one EMA length by one sampler, and judge them."""

import shutil

from dataset.store import ImageDataset
from pipelines.console.command import parser, run_stage
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.stages.judged_item import Subject, judge_item
from pipelines.stages.whole_folders import check_weights_of, check_whole, finish_folder
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import item_fingerprint, pipeline_tag
from pipelines.workspace.litter import sweep_up
from pipelines.workspace.paths import (
    DATASET,
    EMA,
    EVALUATE,
    REFERENCE,
    dvc_root,
    item_name,
    length_name,
)
from pipelines.workspace.weights_files import with_guiding_files


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--length", type=float, required=True, help="EMA length, e.g. 0.1")
    arguments.add_argument("--sampler", required=True, help="a name under `sampling` in params")
    args = arguments.parse_args()
    from evaluation.reference import load_reference  # brings torch, which --help does without

    params = load_params(args.params)
    hide_gpus(params.cluster)
    if args.sampler not in params.sampling:
        raise ValueError(f"--sampler {args.sampler}: params name {', '.join(params.sampling)}")
    item = item_name(args.length, args.sampler)
    sampler = with_guiding_files(params.sampling[args.sampler], args.sampler)
    fingerprint = item_fingerprint(params, args.length, args.sampler)
    for read in (DATASET, REFERENCE):
        check_whole(read)
    check_weights_of(EMA, length_name(args.length))
    dataset = ImageDataset(DATASET)
    reference = load_reference(REFERENCE, params.evaluation.inception_path)
    sweep_up(dvc_root())
    out = EVALUATE / item
    shutil.rmtree(out, ignore_errors=True)
    weights = EMA / f"{length_name(args.length)}.safetensors"
    subject = Subject(item, weights, args.length, args.sampler, sampler)
    with stage_run(
        "evaluate", params, pipeline_tag(params), fingerprint, root=dvc_root(), item=item
    ) as run:
        headline = judge_item(params, subject, dataset, reference, out, run)
        finish_folder(out)
    print(f"evaluate {item}: {headline}")


if __name__ == "__main__":
    run_stage(main)
