"""The driver's view of a training: bar, plain lines, and what reaches the tracked run."""

import io

import numpy as np
import pytest
from rich.console import Console

from pipelines.console.training_monitor import Monitor
from pipelines.tracking.live_run import StageRun
from training.events import (
    CheckpointSaved,
    Ended,
    GateChanged,
    HeldOutMeasured,
    Logged,
    Message,
    SamplesDrawn,
    Started,
    Stepped,
)


class FakeRun(StageRun):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.metrics, self.images, self.tags = [], [], {}

    def log_metrics(self, metrics, nimg=0):
        self.metrics.append((nimg, dict(metrics)))

    def log_image(self, image, key, nimg=0, card=""):
        self.images.append((nimg, key, np.asarray(image).shape))

    def set_tags(self, tags):
        self.tags |= tags


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def plain_monitor(total=100_000, **options):
    clock = Clock()
    console = Console(file=io.StringIO(), force_terminal=False)
    run = FakeRun()
    return Monitor(total, run, console=console, clock=clock, **options), run, clock


def log(nimg, **metrics):
    return Logged(nimg, {"loss": 0.5, **metrics}, 7.0)


def test_events_reach_the_run_with_images_as_steps():
    monitor, run, _ = plain_monitor()
    with monitor:
        monitor(Started(0, total_nimg=100_000, resumed=False))
        monitor(log(960, lr=0.01))
        monitor(HeldOutMeasured(960, {"held_out/loss": 0.6}))
        monitor(GateChanged(960, False, "D is at chance", "D is at chance: 0.51"))
        assert run.tags["gate"] == "shut: D is at chance: 0.51"
        monitor(GateChanged(1920, True, "", ""))
        monitor(CheckpointSaved(1920, "a path"))
        monitor(Ended(100_000))
    nimg, first = run.metrics[0]
    assert nimg == 960
    assert first == {
        "kimg": 0.96,
        "loss": 0.5,
        "lr": 0.01,
        "img_per_s": 7.0,
        "structure/share": None,
    }
    assert run.metrics[1:] == [(960, {"held_out/loss": 0.6})]
    assert run.tags == {"gate": "open", "gate.reasons": "D is at chance x1"}


def test_samples_become_one_grid_image():
    pytest.importorskip("evaluation.pictures")
    monitor, run, _ = plain_monitor()
    images = np.zeros([16, 8, 8, 1], np.uint8)
    monitor(SamplesDrawn(500, 0.05, images))
    ((nimg, key, shape),) = run.images
    assert (nimg, key) == (500, "samples ema 0.05")
    assert shape[0] == shape[1] >= 4 * 48


def test_the_last_samples_have_a_grid_of_their_own():
    """A grid with one picture opens at it."""
    monitor, run, _ = plain_monitor()
    monitor(Ended(0))  # resumed after the last picture: nothing to show
    assert run.images == []
    for nimg in (500, 1000):
        images = np.zeros([16, 8, 8, 1], np.uint8)
        monitor(SamplesDrawn(nimg, 0.05, images))
    monitor(Ended(1000))
    assert [(nimg, key) for nimg, key, _ in run.images] == [
        (500, "samples ema 0.05"),
        (1000, "samples ema 0.05"),
        (1000, "samples at the end"),
    ]


def test_a_gate_that_has_only_opened_is_not_said_to_be_never_shut():
    monitor, run, _ = plain_monitor()
    monitor(GateChanged(1920, True, "", ""))
    assert run.tags == {"gate": "open"}


def test_plain_lines_are_rare_and_count_from_the_resumed_point(capsys):
    monitor, _, clock = plain_monitor()
    with monitor:
        monitor(Started(50_000, total_nimg=100_000, resumed=True))
        for second in range(1, 31):  # 100 images a second
            clock.now += 1
            monitor(log(50_000 + 100 * second))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "resumed at 50.0 of 100.0 kimg"
    # 300 images in 3 s: the 50,000 shown before the resume are no part of the speed.
    assert lines[1] == "50.4/100.0 kimg  loss 0.5000  100 img/s  8:16 left"
    assert lines[2] == "51.9/100.0 kimg  loss 0.5000  100 img/s  8:01 left"
    assert len(lines) == 3


def test_the_first_seconds_of_steps_tell_the_time_left(capsys):
    """Before anything is logged; the slow first step is no part of the speed."""
    monitor, _, clock = plain_monitor()
    with monitor:
        monitor(Started(0, total_nimg=100_000, resumed=False))
        clock.now += 60
        monitor(Stepped(128))
        for second in range(1, 4):  # 1,280 images a second
            clock.now += 1
            monitor(Stepped(128 + 1280 * second))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0.1/100.0 kimg  starting"  # a minute without a line
    assert lines[1] == "4.0/100.0 kimg  1280 img/s  1:15 left"


def test_work_that_comes_later_counts(capsys):
    """A game that begins at the half and doubles the work of an image."""

    class Doubles:
        def between(self, before, after):
            return max(after, 50_000) + after - max(before, 50_000) - before

    monitor, _, clock = plain_monitor(work=Doubles())
    with monitor:
        monitor(Started(0, total_nimg=100_000, resumed=False))
        monitor(Stepped(0))
        clock.now += 10
        monitor(Stepped(10_000))  # 40 s to the half, and 100 s after it
    assert monitor.figures() == "1000 img/s  2:20 left"
    monitor, _, clock = plain_monitor(work=Doubles())
    with monitor:  # in the game, where each second brings two seconds' worth of work
        monitor(Stepped(60_000))
        clock.now += 10
        monitor(Stepped(70_000))
    assert monitor.figures() == "1000 img/s  0:30 left"


def test_figures_show_the_games_share():
    monitor, run, clock = plain_monitor()
    clock.now += 1
    game = {"structure/lambda": 0.5, "structure/adv_grad": 1.0, "structure/denoise_grad": 4.0}
    monitor(log(100, denoising_loss=0.25, **game))
    assert monitor.figures().startswith("loss 0.2500  game 12%")
    assert run.metrics[0][1]["structure/share"] == 0.125


def test_figures_tell_a_gate_that_is_shut():
    """The adversarial gradient is not measured then, so it is not among the metrics."""
    monitor, run, _ = plain_monitor()
    shut = {"structure/lambda": 0.0, "structure/denoise_grad": 4.0, "structure/gate_open": 0.0}
    monitor(log(100, **shut))
    assert monitor.figures() == "loss 0.5000  gate shut"
    assert run.metrics[0][1]["structure/share"] == 0.0
    shown = {"structure/lambda": 0.5, "structure/adv_grad": 1.0, "structure/denoise_grad": 4.0}
    monitor(log(200, **shown, **{"structure/gate_open": 0.25}))
    assert monitor.figures() == "loss 0.5000  game 12%"
    adapter = {"structure/adapter_lr": 0.1, "structure/gate_open": 1.0}  # has no share of anything
    monitor(log(300, **shown | adapter))
    assert monitor.figures() == "loss 0.5000  game"
    assert run.metrics[-1][1]["structure/share"] is None


def test_live_bar_on_a_terminal():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with Monitor(2000, None, console=console) as monitor:
        monitor(Started(0, total_nimg=2000, resumed=False))
        monitor(log(1000))
        monitor(Message(0, "a checkpoint was damaged"))
        monitor(Ended(2000))
    text = screen.getvalue()
    assert "2.0/2.0 kimg" in text
    assert "a checkpoint was damaged" in text


def test_bar_is_closed_when_training_fails():
    console = Console(file=io.StringIO(), force_terminal=True)
    with pytest.raises(RuntimeError), Monitor(10, None, console=console) as monitor:
        raise RuntimeError
    assert monitor._bar.finished or not monitor._bar.live.is_started
