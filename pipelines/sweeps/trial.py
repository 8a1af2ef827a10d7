"""Runs one trial of a sweep: a training that is judged at its rungs.

The trial trains in the folder of its params' fingerprint, as the stages train and distil do. So an
interrupted trial continues from its checkpoint, and `dvc exp run` with the best trial's params
finds the training done.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from dataset.latents import open_dataset
from foundation.json_files import parse_object
from foundation.json_hash import json_hash
from models.weights import file_hash
from pipelines.settings.schema import Params
from pipelines.sweeps.judging_basis import judging_basis
from pipelines.sweeps.space import Sweep, SweepConfig
from pipelines.workspace.fingerprint import teacher_file, training_identity
from pipelines.workspace.paths import grid_cache, pairs_cache
from pipelines.workspace.wanted_runs import want, who_wants
from sampling.config import SamplerConfig
from training.events import Event, Report, SnapshotSaved, Started

if TYPE_CHECKING:
    from pipelines.sweeps.quick_evaluation import QuickEvaluation

FILE = "rungs.jsonl"
EARLIER = ""
"""Path in the event of a snapshot that was there before the trial began."""


@dataclass(frozen=True)
class TrialTask:
    """What is the same for all trials; plain data and absolute paths, to be sent to workers."""

    project: str
    root: str
    sweep: str
    """SweepConfig as JSON."""
    raw: dict[str, Any]
    """params.yaml as nested plain data."""
    evaluation: "QuickEvaluation"

    def load(self) -> Sweep:
        return Sweep(SweepConfig.model_validate_json(self.sweep), self.raw)


@dataclass
class RungJudge:
    """Called with an event: adds a quick evaluation to the first snapshot at or after each rung.

    It runs in the worker of rank 0. Results are kept in the run's folder, so that a trial which
    continues after a crash, or has the params of an earlier one, is not judged twice.
    """

    evaluation: "QuickEvaluation"
    sampler: SamplerConfig
    rungs: tuple[int, ...]
    total_nimg: int
    folder: Path
    objective: str
    """Name of the number that must be finite."""
    judged: int = 0
    """Images of the last judgement."""

    def __call__(self, event: Event) -> Event:
        if not isinstance(event, SnapshotSaved) or not self.is_due(event.nimg):
            return event
        metrics = self.judge(longest_average(Path(event.path).parent, event.nimg))
        return replace(event, rung={"nimg": event.nimg, **metrics})

    def is_due(self, nimg: int) -> bool:
        """Whether a rung lies in (last judgement, nimg]; always true at the end."""
        return nimg >= self.total_nimg or any(self.judged < rung <= nimg for rung in self.rungs)

    def judge(self, weights: Path) -> dict[str, float]:
        """The metrics of one snapshot, from the run's file if they are in it.

        Raises ValueError if the objective is not finite.
        """
        nimg = int(weights.stem.split("-")[0])
        self.judged = nimg
        key = [file_hash(weights), repr(self.evaluation), self.sampler.model_dump_json()]
        path = self.folder / FILE
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                entry = _parsed(line)
                if entry is not None and entry.get("key") == key:
                    return entry["metrics"]
        metrics = self.evaluation.measure(weights, self.sampler)
        if not math.isfinite(metrics.get(self.objective, math.nan)):
            raise ValueError(f"{self.objective} is not a number at {nimg / 1000:g} kimg")
        entry = {"key": key, "metrics": metrics}
        with open(path, "a") as stream:
            stream.write(json.dumps(entry | {"sha256": json_hash(entry)}) + "\n")
        return metrics

    def earlier(self) -> list[dict[str, float]]:
        """Results at the rungs that the run has passed already; missing ones are judged now."""
        found = []
        snapshots = self.folder / "snapshots"
        for nimg in sorted({int(path.stem.split("-")[0]) for path in snapshots.glob("*.json")}):
            if self.is_due(nimg):
                found.append({"nimg": nimg, **self.judge(longest_average(snapshots, nimg))})
        return found


def run_trial(sample: Mapping[str, Any], task: TrialTask) -> None:
    """Ray Tune's trainable: train with the sampled params and report at each rung.

    An exception makes this trial a broken one; the others go on.
    """
    from ray import tune

    os.chdir(task.project)  # the fingerprint is of the code in this folder
    sweep = task.load()
    values = sweep.values(sample)
    params = sweep.params(values)
    identity = training_identity(params, sweep.student)
    folder = identity.folder(Path(task.root))
    report = _reporter(tune.report, identity.fingerprint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    want(Path(task.root), identity.params, who_wants(sweep.config.name))
    with FileLock(str(folder) + ".lock"):  # a trial of equal params waits for the first
        identity.save(folder)
        evaluation = replace(task.evaluation, basis=judging_basis(params, sweep.sampler))
        judge = RungJudge(
            evaluation,
            params.sampling[sweep.sampler],
            sweep.rungs,
            sweep.settings(params).total_nimg,
            folder,
            sweep.objective,
        )
        for rung in judge.earlier():
            report(SnapshotSaved(int(rung["nimg"]), EARLIER, rung))
        if not (folder / "train.json").is_file():
            _train(sweep, params, task, folder, judge, report)


def _train(
    sweep: Sweep,
    params: Params,
    task: TrialTask,
    folder: Path,
    judge: RungJudge,
    report: Report,
) -> None:
    """Train in this process, or with the sweep's number of Ray Train workers."""
    from foundation.workers import World
    from pipelines.ray_jobs.training import train_on_ray
    from pipelines.workspace.weights_files import with_encoder_folder, with_init_file
    from training.loop import train

    latents = task.evaluation.latents
    dataset, resources = Path(task.evaluation.dataset), sweep.config.resources
    update: dict[str, Any] = {
        "sample_every_kimg": None,
        "grid_cache": str(grid_cache()),  # all trials share the grid that one of them searched
        "pairs_cache": str(pairs_cache()),  # and the pairs that the teacher drew for one of them
    }
    if sweep.student is None:
        teacher = None
        update |= {"model": with_encoder_folder(params), "train": with_init_file(params)}
    else:
        teacher = str(teacher_file(params, sweep.student).absolute())
    settings = sweep.settings(params, teacher).model_copy(update=update)
    if sweep.config.workers == 0:
        train(
            settings,
            open_dataset(dataset, latents),
            folder,
            World.current(),
            lambda event: report(judge(event)),
        )
        return
    import ray

    cluster = params.cluster.model_copy(
        update={"num_workers": sweep.config.workers, "use_gpu": resources.gpu > 0}
    )
    wanted = {"CPU": resources.cpu} | ({"GPU": resources.gpu} if resources.gpu else {})
    train_on_ray(
        ray,
        settings,
        dataset,
        folder,
        cluster,
        report,
        enrich=judge,
        resources=wanted,
        latents_folder=Path(latents) if latents else None,
    )


def _reporter(tell: Callable[[dict], None], fingerprint: str) -> Report:
    """A function that passes rungs on to Ray Tune, each once, though snapshots may come again.

    With each goes at how many images this training of the trial began.
    """
    seen, begun_at = -1, None  # of the first start: workers that start anew repeat images

    def report(event: Event) -> None:
        nonlocal seen, begun_at
        if isinstance(event, Started) and begun_at is None:
            begun_at = event.nimg
        if not isinstance(event, SnapshotSaved) or event.rung is None:
            return
        if event.rung["nimg"] > seen:
            seen = event.rung["nimg"]
            earlier = event.path == EARLIER
            facts = {"fingerprint": fingerprint, "earlier": earlier, "begun_at": begun_at or 0}
            tell({**event.rung, **facts})

    return report


def longest_average(snapshots: Path, nimg: int) -> Path:
    """Weights file of the longest tracked average at one time."""
    paths = [path.with_suffix(".safetensors") for path in snapshots.glob(f"{nimg:012d}-*.json")]
    return max(paths, key=lambda path: float(path.stem.partition("-")[2]))


def _parsed(line: str) -> dict | None:
    """The entry in a line of the file; None if a crash cut it off, or it is damaged."""
    try:
        entry = parse_object(line)
        return entry if entry.pop("sha256") == json_hash(entry) else None
    except (ValueError, KeyError):
        return None  # the snapshot is judged again
