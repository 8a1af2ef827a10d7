"""Trainings with other optimisers: they learn, and go on after an interruption bit for bit."""

import math
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foundation.workers import World
from training.events import HeldOutMeasured
from training.loop import train

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_an_interrupted_run_equals_one_that_was_not(digits, tmp_path, optimizer):
    """With a game upon an adapter, whose parameters are a group of their own."""
    model = runs.SMALL.model_copy(update={"adapter_rank": 2})
    config = runs.settings(
        checkpoint_every_s=0, game="per_sample", model=model, train={"optimizer": optimizer}
    )
    runs.train_whole_and_interrupted(config, digits, tmp_path)
    whole, cut = (runs.final(tmp_path / name) for name in ("whole", "cut"))
    runs.assert_same(whole, cut, rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_each_learns_at_the_same_rate(digits, tmp_path, optimizer):
    events = []
    config = runs.settings(1.024, train={"optimizer": optimizer})
    config = config.model_copy(update={"train": config.train.model_copy(update={"lr": 0.01})})
    summary = train(config, digits, tmp_path, World(), events.append)
    measured = [e.metrics["held_out/loss"] for e in events if isinstance(e, HeldOutMeasured)]
    assert math.isfinite(summary["final"]["loss"])
    assert measured[-1] < 0.75 * measured[0]
