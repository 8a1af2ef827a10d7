"""Events that tell how far training is: from the first step on, and not too often."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from foundation.workers import World
from training import events
from training.events import Logged, Started, Stepped, crossed, each_second
from training.loop import train

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("small_runs.py"))))


def test_the_first_step_is_told_before_anything_is_logged(digits, tmp_path, monkeypatch):
    seen = []
    late = runs.settings(total_kimg=0.128)
    late = late.model_copy(
        update={"train": late.train.model_copy(update={"log_every_kimg": 0.096})}
    )
    monkeypatch.setattr(events, "TELL_S", 0.0)
    train(late, digits, tmp_path, World(), seen.append)
    kinds = [type(event) for event in seen]
    assert kinds[:2] == [Started, Stepped] and seen[1].nimg == 16
    assert kinds.index(Logged) > 5
    assert [e.nimg for e in seen if isinstance(e, Stepped)] == list(range(16, 129, 16))


def test_at_most_once_a_second(monkeypatch):
    seen, now = [], [5.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    stepped = each_second(seen.append)
    for step in range(25):
        stepped(step)
        now[0] += 0.25
    assert [event.nimg for event in seen] == list(range(0, 25, 4))


def test_crossed():
    assert crossed(900, 1000, 1.0) and crossed(900, 2500, 1.0)
    assert not crossed(1000, 1900, 1.0)
