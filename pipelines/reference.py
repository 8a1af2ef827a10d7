"""Stage reference: compute the features of real images that generated ones are compared with."""

import shutil

from dataset.store import ImageDataset
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import phases
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.stages.whole_folders import check_whole, finish_folder
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import DATASET, REFERENCE, dvc_root, unfinished_references


def main() -> None:
    args = parser(__doc__).parse_args()
    # These bring torch, which --help does without.
    from evaluation.copies import copy_notes
    from evaluation.reference import build_reference

    params = load_params(args.params)
    hide_gpus(params.cluster)
    dataset = ImageDataset(DATASET)
    check_whole(DATASET)
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("reference", params)
    shutil.rmtree(REFERENCE, ignore_errors=True)
    with stage_run("reference", params, tag, fingerprint, root=dvc_root()) as run:
        with phases("reference") as report:
            manifest = build_reference(
                dataset, params.evaluation, REFERENCE, report, unfinished_references(), say
            )
        finish_folder(REFERENCE)
        run.log_dict(manifest, "reference.json")
    say(manifest["metric_name"])
    for note in copy_notes(manifest["copies"]):
        say(note)


def say(text: str) -> None:
    print(f"reference: {text}", flush=True)


if __name__ == "__main__":
    run_stage(main)
