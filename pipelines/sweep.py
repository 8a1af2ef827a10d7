"""Search the space of sweep.yaml, with Ray Tune, for the params with the best metric.

    python -m pipelines.sweep --space sweep.yaml

The same command continues a stopped sweep, and shows the result of a finished one again.
"""

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from evaluation.judged_alike import reference_basis
from foundation.json_hash import json_hash
from pipelines.checkup.run_so_far import teacher_note
from pipelines.console.command import run_stage
from pipelines.ray_jobs.session import (
    ClusterError,
    local_precision_note,
    ray_session,
    root_cause,
)
from pipelines.ray_jobs.waiting import told_while_waiting
from pipelines.reporting.stage_outputs import read_json
from pipelines.settings.cross_checks import remarks
from pipelines.settings.yaml_file import ParamsError
from pipelines.stages.whole_folders import check_whole
from pipelines.sweeps.announcement import announce
from pipelines.sweeps.lines import (
    begun_line,
    ended_line,
    expected,
    header,
    rung_line,
    stopping_line,
)
from pipelines.sweeps.pace import seconds_per_image
from pipelines.sweeps.record import (
    BROKEN,
    Record,
    check_same_sweep,
    environment_for_tune,
    lock_text,
)
from pipelines.sweeps.report import write_report
from pipelines.sweeps.space import Sweep, load_sweep
from pipelines.sweeps.swept_student import check_teachers
from pipelines.sweeps.tracked import SweepRuns
from pipelines.sweeps.trial import TrialTask, run_trial
from pipelines.workspace.dvc_command import run_dvc
from pipelines.workspace.input_hashes import dataset_hash
from pipelines.workspace.paths import DATASET, LATENTS, REFERENCE, REPORTS, dvc_root, grid_cache
from pipelines.workspace.stage_code import code_hash, content_hash, stage_files
from pipelines.workspace.training_data import latents_folder
from pipelines.workspace.wanted_runs import no_longer_wanted, who_wants

if TYPE_CHECKING:
    from pipelines.sweeps.quick_evaluation import QuickEvaluation

SWEEPS = "sweeps"


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "--space",
        default="sweep.yaml",
        metavar="FILE",
        help="what to try, and how to judge it (default: %(default)s)",
    )
    arguments.add_argument(
        "--fresh", action="store_true", help="forget what a sweep of this name has tried"
    )
    arguments.add_argument(
        "--retry-broken", action="store_true", help="try broken trials once more"
    )
    args = arguments.parse_args()
    sweep, root = load_sweep(args.space), dvc_root()
    folder = root / ".runs" / SWEEPS / sweep.config.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(str(folder) + ".lock", timeout=0):
            if args.fresh:
                shutil.rmtree(folder, ignore_errors=True)
                no_longer_wanted(root, who_wants(sweep.config.name))
            run_sweep(sweep, folder, root, args.retry_broken)
    except Timeout:
        raise RuntimeError(lock_text(folder)) from None


def run_sweep(sweep: Sweep, folder: Path, root: Path, retry_broken: bool = False) -> None:
    """Begin or continue a sweep and write its report. Raises KeyboardInterrupt when stopped."""
    begun = Record(sweep, folder)
    if begun.done() < sweep.config.trials:
        for line in header(sweep, begun):
            print(f"sweep: {line}", flush=True)
    if not (folder / "sweep.json").is_file() or not (REFERENCE / "reference.json").is_file():
        prepare_data(sweep)
    check_teachers(sweep.teachers)
    facts = sweep_facts(sweep)
    check_same_sweep(folder, facts, sweep.where)
    record = Record(sweep, folder)
    runs = SweepRuns(sweep, json_hash(facts | {"code": ""})[:16], root)
    status = "FAILED"
    try:
        broken = [t for t in record.trials.values() if t.status == BROKEN] if retry_broken else []
        if record.done() < sweep.config.trials or broken:
            search(sweep, folder, root, Observer(record, runs), retry_broken)
        out = REPORTS / SWEEPS / sweep.config.name
        written = write_report(sweep, record, out)
        for path in written.files:
            runs.parent.log_artifact(path)
        over = record.done() >= sweep.config.trials
        if over and all(trial.status != BROKEN for trial in record.trials.values()):
            no_longer_wanted(root, who_wants(sweep.config.name))
        announce(sweep, record, out, written, runs.parent)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        runs.close(status)


def sweep_facts(sweep: Sweep) -> dict[str, Any]:
    """What must stay the same while a sweep of this name goes on.

    check_same_sweep refuses a change of anything but `code`, and points out a change of `code`.
    """
    params = sweep.base.model_dump(mode="json")
    for section in ("cluster", "tracking"):
        params.pop(section)
    path = REFERENCE / "reference.json"
    teachers = {str(file): content_hash(file) for file in sweep.teachers}
    judged_by = reference_basis(read_json(path, "reference")) if path.is_file() else None
    return {
        "sweep": sweep.config.model_dump(mode="json"),
        **({"objective": sweep.objective} if sweep.objective != sweep.config.metric else {}),
        **({"judged_by": judged_by} if judged_by else {}),
        "params": params,
        "data": dataset_hash() or "",
        **({"teachers": teachers} if teachers else {}),
        # of every kind, since trials differ
        "code": code_hash(stage_files("distil" if sweep.student else "train")),
    }


def prepare_data(sweep: Sweep) -> None:
    """Make the data set, its latents and its reference if need be.

    Raises ParamsError where they do not allow the metric.
    """
    latents = [] if sweep.base.autoencoder.kind == "none" else ["encode"]
    try:
        run_dvc("repro", "reference", *latents)
    except RuntimeError as error:
        made = "the data set, its latents or its reference"
        made = made if latents else "the data set or its reference"
        raise RuntimeError(f"{made} could not be made: {error}") from None
    for folder in (DATASET, LATENTS, REFERENCE):
        check_whole(folder)
    manifest = read_json(REFERENCE / "reference.json", "reference")
    if sweep.config.metric == "conditional_accuracy" and manifest.get("classifier") is None:
        raise ParamsError(
            f"{sweep.where}: metric: no trial reports conditional_accuracy, since "
            "the data set has no classes: choose kid"
        )


class Observer:
    """In the driver: records what happens to trials, shows it in MLflow and prints it."""

    def __init__(self, record: Record, runs: SweepRuns):
        self.record, self.runs = record, runs
        self.at_a_time = record.sweep.config.max_concurrent
        self.timed = seconds_per_image(list(record.trials.values())) is not None

    def started(self, trial_id: str, sample: dict[str, Any]) -> None:
        trial = self.record.started(trial_id, sample)
        self.runs.started(trial)
        self.say(begun_line(self.record.sweep, trial))

    def reported(self, trial_id: str, result: dict[str, Any]) -> None:
        trial = self.record.rung(trial_id, result)
        if trial is None:
            return
        self.runs.rung(trial)  # a line says what MLflow has
        self.say(rung_line(self.record.sweep, trial))
        if not self.timed and trial.timed_images:
            self.timed = True
            self.say(f"time: {expected(self.record.sweep, self.record, self.at_a_time)}")

    def ended(self, trial_id: str, error: str | None = None) -> None:
        trial = self.record.ended(trial_id, error)
        self.runs.ended(trial)
        self.say(ended_line(self.record.sweep, trial, self.record, self.at_a_time))

    def stopping(self) -> None:
        """Ctrl-C was pressed."""
        try:
            self.say(stopping_line(self.record))
        except RuntimeError:  # Ctrl-C came while a line was being printed
            os.write(2, f"sweep: {stopping_line(self.record)}\n".encode())

    def say(self, text: str) -> None:
        print(f"sweep: {text}", flush=True)


def search(sweep: Sweep, folder: Path, root: Path, observer: Observer, retry_broken: bool) -> None:
    """Run or continue the trials; print a line if Tune ends before all of them are over.

    Raises KeyboardInterrupt if Ctrl-C ended it, ClusterError if Ray fails.
    """
    environment_for_tune()
    config, base = sweep.config, sweep.base
    task = TrialTask(
        str(Path.cwd()), str(root), config.model_dump_json(), sweep.raw, quick_evaluation(sweep)
    )
    update: dict[str, Any] = {"num_workers": config.max_concurrent * max(1, config.workers)}
    if config.resources.gpu:  # sweep.yaml asks for GPUs, whatever cluster.use_gpu says
        update["use_gpu"] = None
    threads = base.cluster.model_copy(update=update)
    slow = local_precision_note(base.train.precision, threads)
    told = teacher_note(base) if sweep.student else None
    for note in [*([slow] if slow else []), *remarks(base), *([told] if told else [])]:
        observer.say(f"note: {note}")
    # Without the dashboard's state API, Tune with Ray Train inside hangs after a trial.
    with ray_session(threads, dashboard=config.workers > 0) as ray:
        from pipelines.sweeps.tuner import make_tuner, soon_after_ctrl_c, was_interrupted

        concurrent = observer.at_a_time = fitting(sweep, ray.cluster_resources())
        tuner = make_tuner(sweep, folder, run_trial, task, observer, concurrent, retry_broken)
        try:
            with told_while_waiting(ray, observer.say, "trials"), soon_after_ctrl_c():
                tuner.fit()
        except Exception as error:
            raise ClusterError(f"the sweep stopped: {root_cause(error)}") from error
    if observer.record.done() < config.trials:
        if was_interrupted():
            raise KeyboardInterrupt
        observer.say(observer.record.shortfall())


def quick_evaluation(sweep: Sweep) -> "QuickEvaluation":
    """How trials are judged at their rungs, with the data and reference of this workspace."""
    from pipelines.sweeps.quick_evaluation import QuickEvaluation  # takes seconds to import

    base = sweep.base
    return QuickEvaluation(
        str(DATASET.resolve()),
        str(REFERENCE.resolve()),
        base.evaluation.inception_path,
        base.seed,
        sweep.config.evaluation.num_images,
        base.evaluation.batch_size,
        base.evaluation.k,
        base.run_settings().model_dump_json(),
        latents=str(latents.resolve()) if (latents := latents_folder(base)) else None,
        grid_cache=str(grid_cache()),
        held_out_loss=sweep.student is None,
    )


def fitting(sweep: Sweep, available: dict[str, float]) -> int:
    """How many trials Ray has room for at a time. Raises ClusterError if it has none for one.

    available: Ray's resources, {"CPU": 8.0, "GPU": 1.0}.
    """
    config, fit = sweep.config, sweep.config.max_concurrent
    workers = max(1, config.workers)
    for kind, each in (("CPU", config.resources.cpu), ("GPU", config.resources.gpu)):
        have = available.get(kind, 0.0)
        if each * workers > have:
            raise ClusterError(
                f"a trial asks for {each * workers:g} {kind} and Ray has {have:g}: lower "
                f"resources.{kind.lower()} or workers in {sweep.where}"
            )
        if each:
            fit = min(fit, int(have / (each * workers) + 1e-9))
    if fit < config.max_concurrent:
        print(f"sweep: {fit} trials at a time, since Ray has no room for {config.max_concurrent}")
    return fit


if __name__ == "__main__":
    run_stage(main)
