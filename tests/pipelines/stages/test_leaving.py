"""Signals that ask a training to save and to leave: what the stage does at each."""

import os
import signal
import threading
import time

import pytest

from pipelines.stages.leaving import leaving_on_signals
from pipelines.tracking.stop_signals import SAVED, STOPPED
from training.events import Left, Started, Stepped
from training.state.leaving import LEAVE, TrainingStopped

pytestmark = pytest.mark.usefixtures("signals_heard")
ALL = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def send(number):
    os.kill(os.getpid(), number)


def expected(number, code):
    return (KeyboardInterrupt, None) if number == signal.SIGINT else (SystemExit, code)


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_asks_and_the_stage_ends_as_saved(tmp_path, capfd, number):
    kind, code = expected(number, SAVED)
    told = []
    before = [signal.getsignal(n) for n in ALL]
    with pytest.raises(kind) as stop, leaving_on_signals(tmp_path, told.append) as report:
        report(Started(0, 64, resumed=False))
        send(number)
        assert (tmp_path / LEAVE).exists(), "and training goes on to the end of its step"
        report(Left(32))
        raise TrainingStopped(32)
    assert getattr(stop.value, "code", None) == code and (code is None or code in STOPPED)
    assert not (tmp_path / LEAVE).exists() and told == [Started(0, 64, False), Left(32)]
    said = capfd.readouterr().err
    assert f"{number.name}: training saves a checkpoint after this step" in said
    assert "saved and stopped at 0.032 kimg: the same command goes on from there" in said
    assert [signal.getsignal(n) for n in ALL] == before


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("started", [True, False])
def test_a_second_signal_or_one_before_the_first_step_ends_at_once(tmp_path, number, started):
    kind, code = expected(number, 128 + number)
    with pytest.raises(kind) as stop, leaving_on_signals(tmp_path, print) as report:
        if started:
            report(Started(0, 64, resumed=False))
            send(number)
        send(signal.SIGTERM if started else number)
        pytest.fail("it went on")
    assert getattr(stop.value, "code", None) == code
    assert not (tmp_path / LEAVE).exists()


def test_a_driver_that_waits_for_its_workers_is_woken_once_they_have_saved(tmp_path):
    """As under Ray, whose events arrive in a thread while the main thread waits for the trainer."""

    def workers(report):
        report(Started(0, 64, resumed=False))
        send(signal.SIGTERM)
        until = time.monotonic() + 20
        while not (tmp_path / LEAVE).exists() and time.monotonic() < until:
            time.sleep(0.01)
        report(Left(48))

    begun = time.monotonic()
    with pytest.raises(SystemExit) as stop, leaving_on_signals(tmp_path, print) as report:
        threading.Thread(target=workers, args=(report,)).start()
        threading.Event().wait(60)
        pytest.fail("nobody woke it")
    assert stop.value.code == SAVED and time.monotonic() - begun < 30


def test_a_request_made_by_hand_ends_as_saved_too(tmp_path):
    (tmp_path / LEAVE).touch()  # of before this start: forgotten
    with pytest.raises(SystemExit) as stop, leaving_on_signals(tmp_path, print) as report:
        assert not (tmp_path / LEAVE).exists()
        report(Started(0, 64, resumed=False))
        (tmp_path / LEAVE).touch()
        raise TrainingStopped(16)
    assert stop.value.code == SAVED


def test_one_that_comes_after_the_last_step_still_ends_the_stage(tmp_path):
    with pytest.raises(SystemExit) as stop, leaving_on_signals(tmp_path, print) as report:
        report(Started(0, 64, resumed=False))
        send(signal.SIGTERM)
        report(Stepped(64))
    assert stop.value.code == 128 + signal.SIGTERM


def test_an_ignored_hangup_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with leaving_on_signals(tmp_path, print) as report:
            report(Started(0, 64, resumed=False))
            send(signal.SIGHUP)
            assert not (tmp_path / LEAVE).exists()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_disk_that_takes_no_request_ends_the_training(tmp_path):
    with (
        pytest.raises(SystemExit) as stop,
        leaving_on_signals(tmp_path / "gone", print) as report,
    ):
        report(Started(0, 64, resumed=False))
        send(signal.SIGTERM)
        pytest.fail("it went on")
    assert stop.value.code == 128 + signal.SIGTERM


def test_what_the_handler_raised_leaves_also_where_ray_raises_another_exit(tmp_path):
    """Within `ray.get` a SystemExit of a handler arrives as SystemExit(1)."""
    with pytest.raises(SystemExit) as stop, leaving_on_signals(tmp_path, print):
        try:
            send(signal.SIGTERM)
        except SystemExit:
            raise SystemExit(1) from None
    assert stop.value.code == 128 + signal.SIGTERM
