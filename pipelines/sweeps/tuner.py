"""Makes Ray Tune's objects for a sweep: tuner, searcher, scheduler, callbacks."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from pipelines.ray_jobs.session import root_cause
from pipelines.sweeps.lines import outside_line
from pipelines.sweeps.record import say
from pipelines.sweeps.space import Sweep

STATE = "tune"
_OBSERVER: list[Any] = []
"""The driver's observer, kept here since Tune pickles its callbacks with the sweep's state."""
_BROKEN: list[Any] = []
"""Trials that failed in this step of Tune's loop."""
_INTERRUPTED = threading.Event()
"""Set by the first Ctrl-C, after which `fit` returns as if all trials were done."""
PATIENCE_SECONDS = 2.0
"""So long may Tune take to save its state after Ctrl-C; it would then wait for trials to end."""


def make_tuner(
    sweep: Sweep,
    folder: Path,
    trainable: Callable,
    task: Any,
    observer: Any,
    concurrent: int,
    retry_broken: bool,
) -> tune.Tuner:
    """A new Tuner, or the one whose state is in the folder.

    observer: has started(trial_id, sample), reported(trial_id, result), ended(trial_id, error),
    and `record`.
    """
    _OBSERVER[:] = [observer]
    runnable = tune.with_resources(tune.with_parameters(trainable, task=task), _resources(sweep))
    path = Path(folder) / STATE
    if tune.Tuner.can_restore(str(path)):
        print(f"sweep: continuing {sweep.config.name}", flush=True)
        return tune.Tuner.restore(
            str(path), runnable, resume_unfinished=True, resume_errored=retry_broken
        )
    shutil.rmtree(path, ignore_errors=True)
    observer.record.keep(())
    return tune.Tuner(
        runnable,
        param_space={key: domain.for_tune() for key, domain in sweep.varying.items()},
        tune_config=tune.TuneConfig(
            metric=sweep.objective,
            mode=sweep.mode,
            num_samples=sweep.config.trials,
            search_alg=make_searcher(sweep, concurrent),
            scheduler=make_scheduler(sweep),
            max_concurrent_trials=concurrent,
            reuse_actors=sweep.config.workers == 0,
        ),
        run_config=tune.RunConfig(
            name=STATE,
            storage_path=str(Path(folder).resolve()),
            verbose=0,
            callbacks=[Forward()],
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )


def make_searcher(sweep: Sweep, concurrent: int) -> Any:
    """Random search or Optuna's TPE; the first trial has params.yaml's own values if possible.

    concurrent: trials at a time. TuneConfig has the number too, but Ray passes it on to Optuna
    alone.
    """
    first = sweep.default_sample() if sweep.config.default_first else None
    points = [first] if first is not None else None
    if sweep.config.default_first and first is None:
        say(f"sweep: {outside_line(sweep)}")
    if sweep.config.searcher == "random":
        return BasicVariantGenerator(
            points_to_evaluate=points,
            random_state=sweep.config.seed,
            max_concurrent=concurrent,
        )
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearch(
        metric=sweep.objective,
        mode=sweep.mode,
        points_to_evaluate=points,
        sampler=optuna.samplers.TPESampler(seed=sweep.config.seed, n_startup_trials=5),
    )


def make_scheduler(sweep: Sweep) -> Any:
    """ASHA over images seen, with the sweep's rungs as milestones."""
    if sweep.config.scheduler == "none":
        return FIFOScheduler()
    # stop_last_trials False: a trial ends by itself, at its own last image, so its run is complete.
    return ASHAScheduler(
        time_attr="nimg",
        grace_period=sweep.rungs[0],
        max_t=sweep.total_nimg,
        reduction_factor=sweep.config.reduction,
        stop_last_trials=False,
    )


def _resources(sweep: Sweep) -> dict[str, float]:
    """Resources of the trial's own process: none if Ray Train's workers do the work."""
    if sweep.config.workers:
        return {"cpu": 0, "memory": 1}  # one byte, since Ray refuses an empty bundle
    resources = sweep.config.resources
    return {"cpu": resources.cpu} | ({"gpu": resources.gpu} if resources.gpu else {})


def was_interrupted() -> bool:
    """Whether Ctrl-C ended the last `fit`."""
    return _INTERRUPTED.is_set()


@contextmanager
def soon_after_ctrl_c() -> Iterator[None]:
    """Context of `fit`, which a Ctrl-C ends by KeyboardInterrupt PATIENCE_SECONDS later.

    Tune itself waits for the running trials, each for as long as it trains. Nothing is lost: trials
    have checkpoints of their own, and Tune saves its state every second.
    """
    over, lock = threading.Event(), threading.Lock()
    _INTERRUPTED.clear()

    def watch() -> None:
        while not _INTERRUPTED.wait(0.2):
            if over.is_set():
                return
        if not over.wait(PATIENCE_SECONDS):
            with lock:
                if not over.is_set():
                    os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()


class Forward(Callback):
    """Passes on what happens to trials. It has no fields, since Tune pickles it."""

    def setup(self, *args: Any, **info: Any) -> None:
        """Called when `fit` begins, after Tune has set its own handler of Ctrl-C."""
        if threading.current_thread() is not threading.main_thread():
            return
        of_tune = signal.getsignal(signal.SIGINT)

        def note(number: int, frame: Any) -> None:
            _OBSERVER[0].stopping()
            if callable(of_tune):
                of_tune(number, frame)  # which also leaves a second Ctrl-C to Python
            _INTERRUPTED.set()

        signal.signal(signal.SIGINT, note)

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _OBSERVER[0].started(trial.trial_id, dict(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict, **info: Any
    ) -> None:
        _OBSERVER[0].reported(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _OBSERVER[0].ended(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _BROKEN.append(trial)  # its error is known only when this step is over

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        for trial in [trial for trial in _BROKEN if trial.get_error() is not None]:
            _BROKEN.remove(trial)
            _OBSERVER[0].ended(trial.trial_id, _message(trial))

    def on_experiment_end(self, trials: list, **info: Any) -> None:
        for trial in _BROKEN:
            _OBSERVER[0].ended(trial.trial_id, "its process died")
        _BROKEN.clear()
        _OBSERVER[0].record.keep({trial.trial_id for trial in trials})


def _message(trial: Any) -> str:
    """A trial's error in one line."""
    error = trial.get_pickled_error() or trial.get_error()
    if isinstance(error, BaseException):
        return root_cause(error).removeprefix("training failed: ")
    return str(error).strip().splitlines()[-1]
