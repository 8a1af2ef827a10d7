"""Stage distil: train the students that params list, each from the weights of its teacher.

The same command after a crash or Ctrl-C goes on from the last checkpoint; a finished student is
published again without training, and so another student trains that one only. Under DVC, set
DISTIL_FRESH=NAME or DISTIL_ADOPT=FINGERPRINT instead of the options --fresh and --adopt.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from foundation.atomic_files import copy_whole, write_text
from foundation.did_you_mean import spelling_hint
from foundation.json_files import read_object
from models.weights import WeightsError, file_hash, save_weights
from pipelines.console.command import adopt_option, environment, parser, run_stage
from pipelines.console.progress import progress
from pipelines.forecast.duration import TrainingWork, about, pairs_seconds
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.settings.schema import Params
from pipelines.stages.training_run import check_run, opened_run, train_run
from pipelines.stages.whole_folders import check_weights_of, check_whole, finish_folder
from pipelines.tracking.stage_run import StageRun, stage_run
from pipelines.workspace.fingerprint import (
    STUDENT_PARAMS,
    pipeline_tag,
    student_identity,
    teacher_file,
)
from pipelines.workspace.finished_run import CURVES, SUMMARY, seal
from pipelines.workspace.paths import (
    DATASET,
    LATENTS,
    STUDENTS,
    dvc_root,
    grid_cache,
    length_name,
    pairs_cache,
)
from pipelines.workspace.training_data import training_dataset

LIST = STUDENTS / "students.json"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--fresh",
        metavar="NAME",
        default=environment("DISTIL_FRESH"),
        help="train this student anew, removing what its run has so far",
    )
    adopt_option(arguments, "DISTIL")
    args = arguments.parse_args()
    params, root = load_params(args.params), dvc_root()
    if args.fresh is not None and args.fresh not in params.distil:
        hint = spelling_hint(args.fresh, params.distil)
        raise ValueError(f"--fresh {args.fresh} is not in distil{hint}")
    adopted = [n for n in params.distil if (root / f".runs/distil-{n}-{args.adopt}").is_dir()]
    if args.adopt and not adopted:
        raise ValueError(
            f"--adopt {args.adopt}: no student has an unfinished run of that fingerprint: leave "
            "--adopt away"
        )
    hide_gpus(params.cluster)
    LIST.unlink(missing_ok=True)
    entries = []
    for name in params.distil:
        adopt = args.adopt if name in adopted else None
        entries.append(distil(params, name, root, fresh=args.fresh == name, adopt=adopt))
    for path in STUDENTS.glob("*"):
        if path.is_dir() and path.name not in params.distil:
            shutil.rmtree(path)
    write_text(LIST, json.dumps({"students": entries}, indent=1) + "\n")
    finish_folder(STUDENTS)
    print(f"distil: {', '.join(params.distil) or 'params list no student'}")


def distil(
    params: Params, name: str, root: Path, *, fresh: bool, adopt: str | None
) -> dict[str, Any]:
    """Train the student unless its run is finished, and publish it; returns its entry of the list.

    Raises RunInUse if another process trains it, ValueError for an adopted run that does not fit.
    """
    training_dataset(params)  # raises here, before anything starts, if the data set is damaged
    for read in (DATASET, LATENTS):
        check_whole(read)
    teacher = teacher_file(params, name)
    if not teacher.is_file():
        raise ValueError(f"{teacher}, the teacher of {name}, is missing: dvc repro reconstruct")
    check_weights_of(teacher.parent, teacher.stem)
    identity = student_identity(params, name)
    folder, out = identity.folder(root), STUDENTS / name
    with (
        opened_run(
            identity, out, root, fresh=fresh, adopt=adopt, storage=params.cluster.storage
        ) as finished,
        stage_run(
            "distil",
            params,
            pipeline_tag(params),
            identity.fingerprint,
            root=root,
            item=name,
            fresh=fresh,
            param_keys=[*STUDENT_PARAMS, f"students.{name}"],
        ) as run,
    ):
        if finished:
            print(f"distil: {name}, run {identity.fingerprint}, is finished: publishing it")
            run.mark_restored()
        else:
            identity.save(folder)
            _train(params, name, folder, run)
            seal(folder)
        entry = publish_student(params, name, folder, out)
        run.log_artifact(out / SUMMARY)
        run.describe(
            f"student {name}: {entry['kind']} from the teacher of EMA length "
            f"{length_name(entry['teacher_length'])}, {entry['total_nimg']:,} images seen"
        )
    return entry


def _train(params: Params, name: str, folder: Path, run: StageRun) -> None:
    """Train to the end on the cluster that params name; prints progress, logs to `run`."""
    from pipelines.forecast.tell import expected_costs, expected_line  # brings torch

    settings = params.student_settings(name, str(teacher_file(params, name).absolute()))
    room = check_run(settings, params, folder)
    costs = expected_costs(params, dvc_root(), name)
    work = TrainingWork(settings, costs)
    pairs = params.students[name].pairs_needed
    if pairs:
        known = f" ({about(pairs_seconds(settings, costs))})" if costs else ""
        print(
            f"distil: {name}: the teacher first draws its {pairs:,} pairs{known}, unless "
            ".runs/pairs has them",
            flush=True,
        )
    for line in (expected_line(work, folder), room):
        print(f"distil: {name}: {line}", flush=True)
    places = {"grid_cache": str(grid_cache()), "pairs_cache": str(pairs_cache())}
    settings = settings.model_copy(update=places)
    train_run(name, settings, params, folder, run, work)


def publish_student(params: Params, name: str, folder: Path, out: Path) -> dict[str, Any]:
    """Write train.json, curves.csv and the averages of the wanted EMA lengths into `out`.

    Returns the student's entry of students.json. Raises WeightsError for a damaged snapshot.
    """
    # brings torch, which --help does without
    from models.ema_reconstruction import list_snapshots, reconstruct

    student = params.students[name]
    snapshots = folder / "snapshots"
    with progress(f"distil: {name}: snapshots read", len(list_snapshots(snapshots))) as bar:
        try:
            averages, description, errors = reconstruct(snapshots, student.lengths, bar)
        except WeightsError as error:
            raise WeightsError(f"{error}; DISTIL_FRESH={name} dvc repro -f distil") from error
    shutil.rmtree(out, ignore_errors=True)
    for file in (CURVES, SUMMARY):
        copy_whole(folder / file, out / file)
    about: dict[str, Any] = {"kind": student.kind, "levels": student.levels}
    about |= {"follows_paths": True} if student.follows_paths else {}
    teacher = {
        "teacher_length": student.teacher,
        "teacher_sha256": file_hash(teacher_file(params, name)),
    }
    lengths: dict[str, dict[str, Any]] = {}
    for length in student.lengths:
        file = f"{length_name(length)}.safetensors"
        told = description | {"sigma_rel": length, "student": about | teacher}
        save_weights(out / file, averages[length], told)
        lengths[length_name(length)] = {"file": file, "relative_profile_error": errors[length]}
    return {
        "name": name,
        **about,
        **teacher,
        "total_nimg": read_object(out / SUMMARY).get("total_nimg", 0),
        "lengths": lengths,
    }


if __name__ == "__main__":
    run_stage(main)
