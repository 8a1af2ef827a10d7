"""The driver's record of a sweep's trials, kept in a file."""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from foundation.atomic_files import write_text
from foundation.json_files import read_object
from pipelines.settings.dotted_keys import flatten
from pipelines.settings.yaml_file import ParamsError
from pipelines.sweeps.objectives import reported_by_trials
from pipelines.sweeps.space import Sweep
from pipelines.tracking.live_run import say

FINISHED, STOPPED, BROKEN, OPEN = "finished", "stopped early", "broken", "unfinished"


class Trial(BaseModel, extra="forbid"):
    """One trial: its values, its rungs, how it ended."""

    number: int
    trial_id: str
    values: dict[str, Any]
    rungs: list[dict[str, float]] = Field(default_factory=list)
    """nimg and metrics at each rung, in order."""
    status: str = OPEN
    fingerprint: str = ""
    error: str = ""
    timed_images: int = 0
    """Images whose training was timed; not those of an earlier run that the trial goes on from."""
    timed_seconds: float = 0.0
    """Seconds that they took, start of the trial and judging included."""

    @property
    def nimg(self) -> int:
        """Images trained at the last rung."""
        return int(self.rungs[-1]["nimg"]) if self.rungs else 0

    def last(self, name: str) -> float | None:
        """A number that was reported at the last rung; None before the first one."""
        return self.rungs[-1][name] if self.rungs else None


TRIALS = TypeAdapter(list[Trial])


def _damaged(path: Path, error: object) -> ParamsError:
    return ParamsError(f"{path} is damaged ({error}): --fresh begins the sweep anew")


class Record:
    """Trials by Ray's id, in `trials.json`; every change is written at once."""

    def __init__(self, sweep: Sweep, folder: Path, clock: Callable[[], float] = time.monotonic):
        self.sweep, self.path, self.clock = sweep, Path(folder) / "trials.json", clock
        self.trials: dict[str, Trial] = {}
        self._since: dict[str, float] = {}  # when a trial began or last reported
        if self.path.is_file():
            try:
                trials = TRIALS.validate_json(self.path.read_bytes())
            except (OSError, ValidationError) as error:
                problem = str(error).splitlines()[0]
                raise _damaged(self.path, problem) from error
            self.trials = {trial.trial_id: trial for trial in trials}

    def started(self, trial_id: str, sample: Mapping[str, Any]) -> Trial:
        """A trial begins, or begins again."""
        values = self.sweep.values(sample)
        known = self.trials.get(trial_id)
        # Ray's state on disk may lag behind ours by a second, and give an id anew after a crash.
        if known is None or known.values != values:
            counted = re.search(r"_(\d{5})$", trial_id)  # random search counts, Optuna does not
            taken = [trial.number for trial in self.trials.values()]
            number = int(counted[1]) if counted else max(taken, default=-1) + 1
            self.trials[trial_id] = Trial(number=number, trial_id=trial_id, values=values)
        trial = self.trials[trial_id]
        trial.status, trial.error = OPEN, ""
        self._since[trial_id] = self.clock()
        self._write()
        return trial

    def rung(self, trial_id: str, result: Mapping[str, Any]) -> Trial | None:
        """A trial reports; None where this rung is known already."""
        trial, now = self.trials[trial_id], self.clock()
        trial.fingerprint = str(result.get("fingerprint", trial.fingerprint))
        since, self._since[trial_id] = self._since.get(trial_id, now), now
        if result["nimg"] <= trial.nimg:
            return None
        if not result.get("earlier"):
            # A trial goes on from a checkpoint, which may be of after its last rung.
            begun = max(trial.nimg, int(result.get("begun_at", 0)))
            trial.timed_images += int(result["nimg"]) - begun
            trial.timed_seconds += now - since
        known = {"nimg", "evaluation_s", *reported_by_trials()}
        trial.rungs.append({key: float(result[key]) for key in result if key in known})
        self._write()
        return trial

    def ended(self, trial_id: str, error: BaseException | str | None = None) -> Trial:
        """A trial is over: it reached its end, the scheduler stopped it, or it failed."""
        trial = self.trials[trial_id]
        if error is not None:
            trial.status, trial.error = BROKEN, str(error)
        else:
            whole = self.sweep.params(trial.values).run_settings().total_nimg
            trial.status = FINISHED if trial.nimg >= whole else STOPPED
        self._write()
        return trial

    def keep(self, trial_ids: Collection[str]) -> None:
        """Forget trials that Ray does not know."""
        self.trials = {key: trial for key, trial in self.trials.items() if key in trial_ids}
        self._write()

    def done(self) -> int:
        """How many trials are over."""
        return sum(trial.status != OPEN for trial in self.trials.values())

    def running(self) -> int:
        """How many trials have begun and are not over."""
        return len(self.trials) - self.done()

    def shortfall(self) -> str:
        """A line on how many trials are over when Tune ends too early, and what to do."""
        asked, begun, over = self.sweep.config.trials, len(self.trials), self.done()
        lost = f"; {begun - over} never came to an end" if begun > over else ""
        never = f"; {asked - begun} never begun" if asked > begun else ""
        return (
            f"Ray Tune ended with {over} of {asked} trials over{lost}{never}. The report is of "
            "those that are over: the same command tries to go on, --fresh begins the sweep anew"
        )

    def _write(self) -> None:
        entries = [trial.model_dump() for trial in self.trials.values()]
        write_text(self.path, json.dumps(entries, indent=1) + "\n")


def check_same_sweep(folder: Path, facts: Mapping[str, Any], where: str) -> bool:
    """Whether a sweep of this name has begun already. Raises ParamsError if its facts differ."""
    path = Path(folder) / "sweep.json"
    if not path.is_file():
        write_text(path, json.dumps(facts, indent=1, sort_keys=True) + "\n")
        return False
    now = flatten(json.loads(json.dumps(facts, sort_keys=True)))
    try:
        before = flatten(read_object(path))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    changed = {
        key: (before.get(key, "-"), now.get(key, "-"))
        for key in sorted(before.keys() | now.keys())
        if before.get(key, "-") != now.get(key, "-")
    }
    if not any(key.startswith("judged_by.") for key in before):  # an older version began it
        changed = {k: v for k, v in changed.items() if not k.startswith("judged_by.")}
    code = changed.pop("code", None)
    if changed:
        key, (old, new) = next(iter(changed.items()))
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise ParamsError(
            f"{where}: a sweep named {Path(folder).name!r} exists and differs in {key} ({old} "
            f"there, {new} now){more}: choose another name, or --fresh to begin it anew"
        )
    if code is not None:
        say("sweep: code has changed since it began; trials from here on train with the new code")
    return True


def lock_text(folder: Path) -> str:
    return f"the sweep {Path(folder).name!r} is running in another process: wait for it, or stop it"


def environment_for_tune() -> None:
    """Set variables by which Tune prints less and saves its state every second."""
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    # Ray warns if there are more processes than 4 times this number.
    os.environ.setdefault(
        "RAY_worker_maximum_startup_concurrency", str(max(8, os.cpu_count() or 1))
    )
    # The observer prints the error of a broken trial in one line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
