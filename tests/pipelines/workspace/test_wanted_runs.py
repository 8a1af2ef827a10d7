"""Runs of a stopped replication are noted, and no longer when it is done."""

import pytest

from pipelines import replicate
from pipelines.params import check_params
from pipelines.replication.plan import plan
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml
from pipelines.workspace.fingerprint import train_params_hash
from pipelines.workspace.wanted_runs import wanted

RAW = read_yaml("presets/digits.yaml")
REPORT = {"best": {"item": "a"}, "items": {"a": {"kid": {"value": 1.0, "floor": 0.0}}}}


def test_runs_of_a_stopped_replication_are_wanted_until_all_is_done(tmp_path, monkeypatch):
    """So that pipelines.clean keeps them."""
    experiments = plan(RAW, "2", ["train.lr=0.01,0.02"])
    hashes = {train_params_hash(check_params(with_values(RAW, e.values))) for e in experiments}
    assert len(hashes) == 4

    def stopped(experiment, raw, show):
        assert wanted(tmp_path).keys() == hashes
        if experiment.seed == 1:
            raise KeyboardInterrupt
        return REPORT, True

    monkeypatch.setattr(replicate, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        replicate.run_all(experiments, RAW, tmp_path, None)
    assert wanted(tmp_path).keys() == hashes
    assert "replicate of train.lr=0.01; train.lr=0.02 with" in next(iter(wanted(tmp_path).values()))
    monkeypatch.setattr(replicate, "run", lambda *args: (REPORT, True))
    replicate.run_all(experiments, RAW, tmp_path, None)
    assert wanted(tmp_path) == {}
