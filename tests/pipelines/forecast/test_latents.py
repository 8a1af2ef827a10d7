"""What a training on latents costs is measured before there is an autoencoder."""

import runpy
from functools import partial
from pathlib import Path

import pytest
import torch

from dataset.latents import open_dataset
from pipelines.forecast import kept, measure
from pipelines.forecast.autoencoder import autoencoder_seconds
from pipelines.forecast.stand_in import write_latent_stand_in, write_stand_in
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
NEARBY = runpy.run_path(str(Path(__file__).with_name("counted_work.py")))
TINY = {
    "model.channels": 8,
    "model.structural_blocks": [],
    "model.attention_resolutions": [],
    "structure.width": 8,
    "structure.features": "pixels",
    "train.batch_size": 16,
    "structure.batch_size": 8,
    "cluster.num_workers": 0,
}
KINDS = {
    "pca": {"kind": "pca", "factor": 2, "channels": 3},
    "kl": {"kind": "kl", "factor": 2, "channels": 3, "width": 8, "kl_start_kimg": 0.1},
}


@pytest.fixture(params=KINDS)
def params(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    raw = read_yaml(ROOT / "presets" / "digits.yaml") | {"autoencoder": KINDS[request.param]}
    return check_params(with_values(raw, TINY))


def test_a_game_that_looks_at_pictures_has_something_that_decodes_them(
    params, tmp_path, monkeypatch
):
    clock = NEARBY["work_clock"](monkeypatch)
    monkeypatch.setattr(kept, "measure", partial(measure.measure, clock=clock))
    found = kept.measured(params, tmp_path)
    assert found.costs.step > 0 and found.costs.play > 0


@pytest.mark.parametrize("params", ["pca"], indirect=True)
def test_so_has_the_game_of_a_student(params, tmp_path):
    one = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}
    student = {"kind": "distribution_matching", "samplers": ["one"], "batch_size": 16}
    student["structure"] = {"kind": "graph", "features": "pixels", "every": 5}
    raw = params.model_dump(mode="json") | {"students": {"quick": student}, "distil": ["quick"]}
    params = check_params(raw | {"sampling": {**raw["sampling"], "one": one}})
    write_stand_in(params.dataset, tmp_path)
    write_latent_stand_in(params.autoencoder, tmp_path, tmp_path / "latents")
    data = open_dataset(tmp_path, tmp_path / "latents")
    run = measure.Trial(params.training_settings("quick"), data, torch.device("cpu"))
    run.open(4)
    run.step(4)
    assert run.game.plays >= 1


def test_the_autoencoders_own_training_has_a_time_where_it_is_trained(params, monkeypatch):
    found = autoencoder_seconds(params)
    if params.autoencoder.kind == "pca":
        assert found is None
        return
    steps = params.autoencoder.total_kimg * 1000 / params.autoencoder.batch_size
    assert 0.0005 * steps < found < 5 * steps
    monkeypatch.setattr("pipelines.forecast.autoencoder.step_seconds", lambda *args: 0.25)
    assert autoencoder_seconds(params) == pytest.approx(0.25 * steps, rel=0.01)
