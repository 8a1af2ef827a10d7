"""How a sweep's search ends: by itself, by Ctrl-C, or with fewer trials than asked for."""

import os
import signal
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pipelines import sweep as command
from pipelines.settings.yaml_file import read_yaml
from pipelines.sweeps import tuner
from pipelines.sweeps.record import Record
from pipelines.sweeps.space import Sweep, SweepConfig

SPACE = {"train.lr": {"uniform": [0.01, 0.02]}}


@pytest.fixture(autouse=True)
def handler():
    """Ctrl-C is this test's own; returns the list of signals that reached the handler below."""
    reached = []
    before = signal.signal(signal.SIGINT, lambda number, frame: reached.append(number))
    yield reached
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def search(tmp_path, monkeypatch):
    """search(fit): the command's search, with `fit(record)` in place of Ray Tune."""
    config = {"name": "s", "trials": 3, "workers": 0, "space": SPACE}
    sweep = Sweep(SweepConfig.model_validate(config), read_yaml("presets/digits.yaml"))
    record = Record(sweep, tmp_path)
    told = command.Observer(record, SimpleNamespace())
    told.lines = []
    told.say = told.lines.append
    monkeypatch.setattr(tuner, "_OBSERVER", [told])

    @contextmanager
    def no_ray(*args, **options):
        yield SimpleNamespace(cluster_resources=lambda: {"CPU": 8.0})

    monkeypatch.setattr(command, "ray_session", no_ray)
    monkeypatch.setattr(command, "quick_evaluation", lambda sweep: None)
    monkeypatch.setattr(command, "environment_for_tune", lambda: None)

    def run(fit):
        def begin():
            tuner.Forward().setup()
            fit(record)

        monkeypatch.setattr(tuner, "make_tuner", lambda *args: SimpleNamespace(fit=begin))
        monkeypatch.setattr(command, "TrialTask", lambda *args: None)
        command.search(sweep, tmp_path, tmp_path, told, False)
        return told.lines

    run.said = told.lines
    return run


def over(record, count):
    for number in range(count):
        record.started(f"t{number}", {"train.lr": 0.01})
        record.ended(f"t{number}", "broken" if number else None)


def test_all_trials_over(search):
    assert search(lambda record: over(record, 3)) == []


def test_fewer_trials_than_asked_for_are_no_interruption(search):
    def fit(record):
        over(record, 1)
        record.started("lost", {"train.lr": 0.015})

    (line,) = search(fit)
    assert "1 of 3 trials over; 1 never came to an end; 1 never begun" in line


def test_ctrl_c_is_one(search, handler):
    def fit(record):
        over(record, 1)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        search(fit)
    assert handler == [signal.SIGINT], "Tune's own handler has to see it"
    assert search.said == ["stopping: 1 of 3 trials are over and kept"]


def test_ctrl_c_does_not_wait_for_trials_that_train_on(search, monkeypatch):
    """Tune's handler leaves the next Ctrl-C to Python, as this one does, and then waits."""
    of_tune = signal.getsignal(signal.SIGINT)

    def handled(number, frame):
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def fit(record):
        over(record, 1)
        record.started("long", {"train.lr": 0.015})
        os.kill(os.getpid(), signal.SIGINT)
        assert len(search.said) == 1, "the answer comes before the wait"
        time.sleep(60)

    monkeypatch.setattr(tuner, "PATIENCE_SECONDS", 0.05)
    signal.signal(signal.SIGINT, handled)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        search(fit)
    signal.signal(signal.SIGINT, of_tune)
    assert time.monotonic() - began < 20
    assert "the 1 that ran goes on" in search.said[0]


def test_an_earlier_ctrl_c_counts_no_more(search):
    tuner._INTERRUPTED.set()
    assert len(search(lambda record: over(record, 2))) == 1
