"""Print what `make repro` is about to do, on what machine, and where its results will be."""

import os
import shutil
from collections.abc import Iterator

from pipelines.console.command import parser, run_stage
from pipelines.params import load_params
from pipelines.ray_jobs.session import describe_cluster, local_precision_note
from pipelines.settings.cross_checks import remarks
from pipelines.workspace.dvc_command import git_problem, settle_git
from pipelines.workspace.user import missing_for_dvc

LEAST_DISK_GB = 2.0


def main() -> None:
    params = load_params(parser(__doc__).parse_args().params)
    settings = params.run_settings()
    items = len(params.ema.lengths) * len(params.samplers)
    free = shutil.disk_usage(".").free / 1e9
    if free < LEAST_DISK_GB:
        raise ValueError(
            f"{free:.1f} GB are free on this disk; runs need at least {LEAST_DISK_GB:g} GB: "
            "make room first"
        )
    side = params.dataset.resolution
    print(
        f"data      {params.dataset.source} at {side}x{side}\n"
        f"training  {settings.total_nimg / 1000:g} kimg, structure game: {params.structure.kind}, "
        f"{describe_cluster(params.cluster)}\n"
        f"judging   {params.evaluation.num_images} images for each of {items} "
        f"(EMA length, sampler) pairs\n"
        f"machine   {os.cpu_count()} processors, {free:.0f} GB free\n"
        "stages    prepare, reference, train, reconstruct, evaluate, summarize; what is up to "
        "date is not run again\n"
        "afterwards: reports/report.html, outputs/evaluate/*/samples.png, and `make ui`",
        flush=True,
    )
    slow = local_precision_note(params.train.precision, params.cluster)
    for remark in [*place(), *([slow] if slow else []), *remarks(params)]:
        print(f"note      {remark}", flush=True)


def place() -> Iterator[str]:
    """What a user must know of the place in which the stages will run."""
    told = settle_git()
    if told:
        yield f"DVC: {told}"
    problem = git_problem()
    if problem:
        yield f"the stages run, but `dvc exp` and pipelines.replicate do not: {problem}"
    missing = missing_for_dvc()
    if missing:
        yield missing


if __name__ == "__main__":
    run_stage(main)
