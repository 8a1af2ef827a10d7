"""Stage reconstruct: compute weights of every wanted EMA length from snapshots of two (EDM2)."""

import json
import shutil

from foundation.atomic_files import write_text
from models.weights import WeightsError, save_weights
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.reporting.rough_averages import rough_averages
from pipelines.stages.whole_folders import check_whole, finish_folder
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.finished_run import AGAIN, check_snapshots
from pipelines.workspace.paths import EMA, TRAIN, dvc_root, length_name


def main() -> None:
    args = parser(__doc__).parse_args()
    # brings torch, which --help does without
    from models.ema_reconstruction import list_snapshots, reconstruct

    params = load_params(args.params)
    lengths = params.ema.lengths
    check_whole(TRAIN)
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("reconstruct", params)
    check_snapshots(TRAIN)
    found = list_snapshots(TRAIN / "snapshots")
    shutil.rmtree(EMA, ignore_errors=True)
    with stage_run("reconstruct", params, tag, fingerprint, root=dvc_root()) as run:
        try:
            with progress("reconstruct: snapshots read", len(found)) as bar:
                averages, description, errors = reconstruct(TRAIN / "snapshots", lengths, bar)
        except WeightsError as error:
            raise WeightsError(f"{error}; {AGAIN}") from error
        report: dict = {
            "num_snapshots": len(found),
            "tracked": sorted({sigma_rel for _, sigma_rel, _ in found}),
            "lengths": {},
        }
        for length in lengths:
            name = f"{length_name(length)}.safetensors"
            save_weights(EMA / name, averages[length], description | {"sigma_rel": length})
            report["lengths"][length_name(length)] = {
                "file": name,
                "relative_profile_error": errors[length],
            }
            run.log_metrics({f"profile_error/{length_name(length)}": errors[length]})
        write_text(EMA / "reconstruct.json", json.dumps(report, indent=1) + "\n")
        finish_folder(EMA)
    print(f"reconstruct: averages of {len(lengths)} EMA lengths from {len(found)} snapshots")
    if rough := rough_averages({length_name(n): error for n, error in errors.items()}):
        print(
            "reconstruct: rough averages, by how far the weight of each moment of the training is "
            f"off: {', '.join(rough)}; more ema.snapshots make them more exact"
        )


if __name__ == "__main__":
    run_stage(main)
