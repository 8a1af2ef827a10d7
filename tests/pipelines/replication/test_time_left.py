"""How long experiments will take, by those that are done and by earlier runs."""

from types import SimpleNamespace

import pytest

from pipelines.params import load_params
from pipelines.replication.time_left import TimeLeft, told_by_runs
from pipelines.settings.dotted_keys import flatten


def test_a_variant_takes_what_it_took_before():
    times = TimeLeft()
    assert times.one("a") is None and times.all(["a"]) is None and times.all([]) == 0
    assert TimeLeft(50.0).all(["a", "b"]) == 100.0
    times = TimeLeft(50.0)
    times.add("a", 100.0)
    assert times.one("b") == 100.0  # what was measured counts more than an earlier run
    times.add("b", 200.0)
    times.add("b", 240.0)
    assert times.all(["a", "b", "a", "c"]) == 100 + 220 + 100 + 180


class Runs:
    """A run store that holds one parent with its children."""

    def __init__(self, params, *children):
        self.parent = SimpleNamespace(
            info=SimpleNamespace(run_id="p", run_name="digits graph s0 3f2a"),
            data=SimpleNamespace(params=params),
        )
        self.children = children

    def search(self, tags, status):
        assert status == "FINISHED"
        return [self.parent] if tags.get("level") == "parent" else list(self.children)


def child(stage, seconds, speed=None, **tags):
    return SimpleNamespace(
        info=SimpleNamespace(start_time=5000, end_time=5000 + 1000 * seconds),
        data=SimpleNamespace(
            tags={"stage": stage, **tags}, metrics={"img_per_s": speed} if speed else {}
        ),
    )


def test_an_earlier_run_tells_by_its_speed_and_its_items():
    params = load_params("presets/digits.yaml")  # 120.064 kimg, 5 items
    flat = {k: str(v) for k, v in flatten(params.model_dump(mode="json")).items()}
    made = [child("train", 999, 400.0), child("evaluate", 20), child("evaluate", 40)]
    cached = child("evaluate", 1, made_by="x")
    seconds, name = told_by_runs(Runs(flat, *made, cached), params)
    assert seconds == pytest.approx(120064 / 400 + 5 * 30) and name == "digits graph s0 3f2a"
    assert told_by_runs(Runs(flat, cached, made[0]), params) is None
    other = flat | {"model.channels": "64"}
    assert told_by_runs(Runs(other, *made), params) is None
