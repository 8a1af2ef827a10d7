"""A sweep and trials of it, made by hand."""

from types import SimpleNamespace

import pytest

from pipelines.settings.yaml_file import read_yaml
from pipelines.sweeps.record import Record
from pipelines.sweeps.space import Sweep, SweepConfig


@pytest.fixture
def tried(tmp_path):
    """`sweep`, its `record`, whose clock reads `now[0]`, and `begin` and `report` of trials."""
    space = {
        "train.total_kimg": 40,
        "train.lr": {"loguniform": [0.001, 0.1]},
        "model.channels": {"choice": [16, 32]},
    }
    settings = {"name": "s", "trials": 4, "reduction": 2, "searcher": "random", "space": space}
    sweep = Sweep(SweepConfig.model_validate(settings), read_yaml("presets/digits.yaml"))
    assert sweep.rungs == (10_016, 20_032), "of 40,064 images"
    now = [0.0]
    record = Record(sweep, tmp_path, clock=lambda: now[0])

    def begin(number: int, lr: float = 0.02, channels: int = 32):
        return record.started(f"t{number}", {"train.lr": lr, "model.channels": str(channels)})

    def report(number: int, nimg: int, kid: float = 1.0, **more):
        return record.rung(f"t{number}", {"nimg": nimg, "kid": kid, **more})

    return SimpleNamespace(sweep=sweep, record=record, now=now, begin=begin, report=report)
