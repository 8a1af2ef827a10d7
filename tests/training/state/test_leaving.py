"""A training that is asked to leave saves, stops, and goes on to the same numbers."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foundation.workers import World
from training.events import CheckpointSaved, Left, Started, Stepped
from training.loop import train
from training.state.checkpoint import checkpoints
from training.state.leaving import LOOK_S, TrainingStopped, ask_to_leave, forget_request, watch

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))


@pytest.mark.parametrize("game", ["none", "graph"])
def test_it_saves_after_the_step_and_goes_on_bit_for_bit(digits, tmp_path, monkeypatch, game):
    monkeypatch.setattr("training.state.leaving.LOOK_S", 0.0)
    monkeypatch.setattr("training.events.TELL_S", 0.0)
    config = runs.settings(game=game, checkpoint_every_s=3600)
    train(config, digits, tmp_path / "whole", World())
    folder, events = tmp_path / "left", []

    def report(event):
        events.append(event)
        if isinstance(event, Stepped) and event.nimg == 80:
            ask_to_leave(folder)

    with pytest.raises(TrainingStopped, match=r"stopped at 0\.08 kimg") as stop:
        train(config, digits, folder, World(), report)
    assert stop.value.nimg == 80 and events[-1] == Left(80)
    assert [event.nimg for event in events if isinstance(event, CheckpointSaved)] == [80]
    assert not (folder / "train.json").exists()

    forget_request(folder)
    events.clear()
    train(config, digits, folder, World(), events.append)
    assert Started(80, 128, resumed=True) in events
    runs.assert_same(runs.final(folder), runs.final(tmp_path / "whole"), rtol=0, atol=0)
    for name in ("train.json", "curves.csv"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_one_asked_at_its_last_step_is_finished(digits, tmp_path):
    (tmp_path / "run").mkdir()
    ask_to_leave(tmp_path / "run")
    train(runs.settings(0.016), digits, tmp_path / "run", World())  # of a single step
    assert (tmp_path / "run" / "train.json").exists()
    assert len(checkpoints(tmp_path / "run" / "checkpoints")) == 1


def test_the_disk_is_not_asked_at_every_step(tmp_path):
    now = [100.0]
    asked = watch(tmp_path, lambda: now[0])
    assert not asked()
    ask_to_leave(tmp_path)
    assert not asked(), "it looked just now"
    now[0] += LOOK_S
    assert asked()
