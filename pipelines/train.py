"""Stage train: train the denoiser, with the structure game unless structure.kind is none.

The same command after a crash or Ctrl-C resumes from the last checkpoint; a finished run is
published again without training. Under DVC, set TRAIN_FRESH=1 or TRAIN_ADOPT=FINGERPRINT instead of
the options --fresh and --adopt.
"""

from pathlib import Path

from foundation.json_files import read_object
from pipelines.console.command import parser, run_stage, training_options
from pipelines.console.training_monitor import close_training
from pipelines.forecast.duration import TrainingWork
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.settings.cross_checks import remarks
from pipelines.settings.schema import Params
from pipelines.stages.training_run import check_run, opened_run, train_run
from pipelines.stages.whole_folders import check_whole, finish_folder
from pipelines.tracking.stage_run import StageRun, stage_run
from pipelines.workspace.fingerprint import outcome, pipeline_tag, stage_identity
from pipelines.workspace.finished_run import seal
from pipelines.workspace.paths import DATASET, LATENTS, TRAIN, dvc_root, grid_cache
from pipelines.workspace.run_folder import publish
from pipelines.workspace.training_data import training_dataset
from pipelines.workspace.weights_files import init_remarks, with_encoder_folder, with_init_file


def main() -> None:
    arguments = parser(__doc__)
    training_options(arguments, "TRAIN")
    args = arguments.parse_args()
    params, root = load_params(args.params), dvc_root()
    hide_gpus(params.cluster)
    training_dataset(params)  # raises here, before anything starts, if the data set is damaged
    for read in (DATASET, LATENTS):
        check_whole(read)
    identity = stage_identity("train", params)
    folder = identity.folder(root)
    with (
        opened_run(
            *(identity, TRAIN, root),
            fresh=args.fresh,
            adopt=args.adopt,
            storage=params.cluster.storage,
        ) as finished,
        stage_run(
            "train", params, pipeline_tag(params), identity.fingerprint, root=root, fresh=args.fresh
        ) as run,
    ):
        if finished:
            print(f"train: {identity.fingerprint} is finished: publishing it again")
            run.mark_restored()
        else:
            identity.save(folder)
            _train(params, folder, run)
            seal(folder)
        run.log_artifact(folder / "train.json")
        publish(folder, TRAIN)
        finish_folder(TRAIN)
        close_training(run, _summary(folder / "train.json"), outcome(params))


def _summary(path: Path) -> dict:
    """The content of train.json. Raises ValueError where it is damaged."""
    try:
        return read_object(path)
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): TRAIN_FRESH=1 dvc repro -f train trains anew"
        ) from error


def _train(params: Params, folder: Path, run: StageRun) -> None:
    """Train to the end on the cluster that params name; prints progress, logs to `run`."""
    from pipelines.forecast.tell import expected_costs, expected_line  # brings torch

    settings = params.run_settings().model_copy(
        update={
            "grid_cache": str(grid_cache()),
            "model": with_encoder_folder(params),
            "train": with_init_file(params),
        }
    )
    room = check_run(settings, params, folder)
    others = init_remarks(params, training_dataset(params).codec)
    for remark in [*remarks(params), *others]:
        print(f"train: note: {remark}", flush=True)
    work = TrainingWork(settings, expected_costs(params, dvc_root()))
    print(f"train: {expected_line(work, folder)}\ntrain: {room}", flush=True)
    train_run("", settings, params, folder, run, work)


if __name__ == "__main__":
    run_stage(main)
