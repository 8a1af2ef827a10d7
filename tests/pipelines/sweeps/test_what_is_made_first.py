"""Before trials begin, all that they read is made."""

import pytest

from pipelines import sweep as command
from pipelines.settings.yaml_file import read_yaml
from pipelines.sweeps.space import Sweep, SweepConfig


@pytest.mark.parametrize(
    ("section", "targets"),
    [({"kind": "none"}, ["reference"]), ({"kind": "pca", "factor": 2}, ["reference", "encode"])],
)
def test_latents_are_encoded_where_trials_train_on_them(section, targets, monkeypatch):
    raw = read_yaml("presets/digits.yaml") | {"autoencoder": section}
    space = {"train.lr": {"loguniform": [0.001, 0.1]}}
    sweep = Sweep(SweepConfig.model_validate({"name": "s", "space": space}), raw)
    made = []
    monkeypatch.setattr(command, "run_dvc", lambda *words: made.append(words))
    monkeypatch.setattr(command, "read_json", lambda *words: {})
    command.prepare_data(sweep)
    assert made == [("repro", *targets)]
