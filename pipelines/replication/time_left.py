"""How long experiments take: by those that are done, or before the first by an earlier run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.forecast.duration import judged_samplers
from pipelines.settings.dotted_keys import flatten
from pipelines.settings.schema import Params
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.live_run import one_line, say
from pipelines.tracking.run_names import dataset_name
from pipelines.tracking.run_store import RunStore


class TimeLeft:
    """Seconds that the remaining experiments will take.

    A variant takes what its own experiments took on average, else what those of all variants took,
    else `before`: seconds of one experiment as an earlier run tells, None if nothing does.
    """

    def __init__(self, before: float | None = None):
        self.before = before
        self.measured: dict[str, list[float]] = {}

    def add(self, variant: str, seconds: float) -> None:
        """An experiment of this variant trained and took so long."""
        self.measured.setdefault(variant, []).append(seconds)

    def one(self, variant: str) -> float | None:
        """Seconds of one experiment of this variant; None if nothing is known yet."""
        known = self.measured.get(variant) or [s for v in self.measured.values() for s in v]
        return sum(known) / len(known) if known else self.before

    def all(self, variants: Sequence[str]) -> float | None:
        """Seconds of the experiments that remain, by their variants, one after the other."""
        each = [self.one(variant) for variant in variants]
        known = [seconds for seconds in each if seconds is not None]
        return sum(known) if len(known) == len(each) else None


def by_earlier_run(params: Params, root: Path) -> tuple[float, str] | None:
    """What `told_by_runs` finds in the run store of `root`; None if the store does not open."""
    if not params.tracking.enabled:
        return None
    try:
        return told_by_runs(open_run_store(params.tracking, root), params)
    except Exception as error:  # of whatever store: it decides no result
        say(f"replicate: MLflow does not tell how long earlier runs took: {one_line(error)}")
        return None


def told_by_runs(store: RunStore, params: Params) -> tuple[float, str] | None:
    """(seconds that a run with these params would take, name of the run that tells so), or None.

    The newest finished run of these data and this model tells it: its training by images per
    second, that of each student likewise, and its evaluation by the mean time of an item.
    """
    flat = flatten(params.model_dump(mode="json"))
    model = {key: str(value) for key, value in flat.items() if key.startswith("model.")}
    for parent in store.search({"level": "parent", "dataset": dataset_name(flat)}, "FINISHED"):
        if any(parent.data.params.get(key) != value for key, value in model.items()):
            continue
        children = store.search({"mlflow.parentRunId": parent.info.run_id}, "FINISHED")
        made = [run for run in children if "made_by" not in run.data.tags]
        speeds = [run.data.metrics.get("img_per_s") for run in made if _stage(run) == "train"]
        items = [_seconds(run) for run in made if _stage(run) == "evaluate"]
        if not speeds or not speeds[0] or not items:
            continue
        taught = {run.data.tags.get("item"): run for run in made if _stage(run) == "distil"}
        if not taught.keys() >= set(params.distil):
            continue
        students = sum(_seconds(taught[name]) for name in params.distil)
        count = len(judged_samplers(params))
        seconds = params.run_settings().total_nimg / speeds[0] + count * sum(items) / len(items)
        return seconds + students, parent.info.run_name
    return None


def _stage(run: Any) -> str | None:
    return run.data.tags.get("stage")


def _seconds(run: Any) -> float:
    return (run.info.end_time - run.info.start_time) / 1000
