"""Shows a sweep and its trials in MLflow."""

from pathlib import Path
from typing import Any

from pipelines.settings.dotted_keys import flatten
from pipelines.sweeps.record import BROKEN, Trial
from pipelines.sweeps.space import Sweep
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.live_run import StageRun, one_line, say
from pipelines.tracking.provenance import git_tags, process_tags


class SweepRuns:
    """The sweep's parent run in MLflow and a child for each trial.

    Does nothing without a run store. facts_hash: of sweep_facts; runs are found again by it.
    """

    def __init__(self, sweep: Sweep, facts_hash: str, root: Path):
        self.sweep, self.store = sweep, None
        self.children: dict[str, StageRun] = {}
        self.parent = StageRun()
        self._tags = {"sweep": sweep.config.name, "sweep.identity": facts_hash}
        if not sweep.base.tracking.enabled:
            return
        try:
            self.store = open_run_store(sweep.base.tracking, root)
            self.parent = self._open({"level": "sweep"}, f"sweep {sweep.config.name}")
            params = flatten(sweep.config.model_dump(mode="json"))
            self.store.write(self.parent.run_id, params=params)
        except Exception as error:
            say(f"MLflow did not start; the sweep goes on without: {one_line(error)}")
            self.store = None

    def started(self, trial: Trial) -> None:
        if self.store is None:
            return
        try:
            short = [
                f"{k.rpartition('.')[2]}={_short(v)}"
                for k, v in trial.values.items()
                if k in self.sweep.varying
            ]
            tags = {
                "level": "trial",
                "trial": trial.trial_id,
                "mlflow.parentRunId": self.parent.run_id,
            }
            run = self._open(tags, " ".join([f"trial {trial.number}", *short])[:120])
            self.store.write(run.run_id, params=trial.values)
            self.children[trial.trial_id] = run
        except Exception as error:
            say(f"MLflow does not show trial {trial.number}: {one_line(error)}")

    def rung(self, trial: Trial) -> None:
        metrics = {k: v for k, v in trial.rungs[-1].items() if k != "nimg"}
        run = self.children.get(trial.trial_id, StageRun())
        run.log_metrics({"kimg": trial.nimg / 1000, **metrics}, trial.nimg)
        run.set_tags({"fingerprint": trial.fingerprint})
        run.flush()

    def ended(self, trial: Trial) -> None:
        run = self.children.pop(trial.trial_id, StageRun())
        run.set_tags(
            {"trial.status": trial.status} | ({"error": trial.error} if trial.error else {})
        )
        run.end("FAILED" if trial.status == BROKEN else "FINISHED")

    def close(self, status: str) -> None:
        """End the parent with this status, and trials that are still open as KILLED."""
        for run in self.children.values():
            run.end("KILLED")
        self.children.clear()
        self.parent.end(status)

    def _open(self, tags: dict[str, str], name: str) -> StageRun:
        assert self.store is not None
        own = {**tags, **self._tags}
        now = {**process_tags(), **git_tags()}
        with self.store.lock:
            for found in self.store.search(own):
                run = StageRun(self.store, found.info.run_id, resumed=True)
                self.store.resume(found)
                run.set_tags(now)
                return run
            return StageRun(self.store, self.store.create(name, {**own, **now}))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")
