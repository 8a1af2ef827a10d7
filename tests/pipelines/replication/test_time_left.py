"""How long experiments will take, by those that are done and by earlier runs."""

import sys
from pathlib import Path

import pytest

from pipelines.params import load_params
from pipelines.replication.time_left import TimeLeft, told_by_runs
from pipelines.settings.dotted_keys import flatten

sys.path.insert(0, str(Path(__file__).parent))
from earlier_runs import Runs, child


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
