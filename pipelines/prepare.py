"""Stage prepare: turn a source of images into outputs/dataset/ (uint8 array, labels, split)."""

from pathlib import Path

from dataset.prepare import prepare_dataset
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import DATASET, dvc_root


def main() -> None:
    args = parser(__doc__).parse_args()
    params = load_params(args.params)
    with progress("prepare") as bar:
        manifest = prepare_dataset(params.dataset, DATASET, bar, roots=(Path(), dvc_root()))
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("prepare", params)
    with stage_run("prepare", params, tag, fingerprint, root=dvc_root()) as run:
        run.log_dataset(manifest)
        run.log_artifact(DATASET / "dataset.json")
    print(
        f"prepare: {manifest['num_train']} training and {manifest['num_held_out']} held-out images "
        f"of {manifest['resolution']}x{manifest['resolution']}x{manifest['channels']}, "
        f"{manifest['num_classes'] or 'no'} classes, {len(manifest['skipped'])} files skipped"
    )
    for remark in manifest["remarks"]:
        print(f"prepare: {remark}")


if __name__ == "__main__":
    run_stage(main)
