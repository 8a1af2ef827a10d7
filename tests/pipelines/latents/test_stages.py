"""The stages autoencoder and encode, and what refuses to start without them."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from dataset.latents import LatentDataset
from dataset.prepare import prepare_dataset
from models.weights import WeightsError
from pipelines import prepare, train
from pipelines.latents import autoencoder, encode
from pipelines.params import ParamsError, check_params, load_params
from pipelines.preset import apply_preset
from pipelines.workspace.paths import AUTOENCODER, DATASET, LATENTS
from pipelines.workspace.training_data import latents_folder, training_dataset
from pipelines.workspace.weights_files import check_captions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(autoencoder) runs both stages on the digits in a new folder; returns the params."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    prepare_dataset(check_params({}).dataset, DATASET)

    def stages(**section):
        raw = {"autoencoder": section, "tracking": {"enabled": False}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
        for stage in (autoencoder, encode):
            monkeypatch.setattr(sys, "argv", ["stage"])
            stage.main()
        return load_params()

    return stages


def test_latents_come_from_two_stages_and_none_writes_two_small_files(run, monkeypatch):
    monkeypatch.setattr(autoencoder, "stage_fingerprint", lambda *a: "f")
    monkeypatch.setattr(encode, "stage_fingerprint", lambda *a: "f")
    for module in (autoencoder, encode):
        monkeypatch.setattr(module, "pipeline_tag", lambda params: "tag")
    params = run(kind="pca", factor=2, channels=3)
    data = training_dataset(params)
    assert isinstance(data, LatentDataset) and data.codec["shape"] == [3, 4, 4]
    assert not data.codec["random"] and np.isfinite(data.moments).all()
    other = params.model_copy(
        update={"autoencoder": params.autoencoder.model_copy(update={"channels": 2})}
    )
    with pytest.raises(ParamsError, match="dvc repro encode"):
        latents_folder(other)
    (AUTOENCODER / "autoencoder.safetensors").rename("kept.safetensors")
    with pytest.raises(WeightsError, match="is not there"):  # and not at the first picture
        training_dataset(params)
    with pytest.raises(ParamsError, match="use at most 4"):
        run(kind="pca", factor=2, channels=5)
    params = run(kind="none")
    assert not isinstance(training_dataset(params), LatentDataset)
    assert latents_folder(params) is None
    for folder, name in ((AUTOENCODER, "autoencoder.json"), (LATENTS, "latents.json")):
        assert [path.name for path in folder.iterdir()] == [name]
        assert json.loads((folder / name).read_text()) == {"kind": "none"}


def test_a_text_that_the_data_set_lacks_is_told_before_an_autoencoder_is_trained(run):
    params = check_params({"model": {"text": {"kind": "words"}}})
    labelled = SimpleNamespace(
        num_classes=2, label_names=["a red ball", "a box"], trained_names=["a red ball", "a box"]
    )
    check_captions(params, labelled)
    for names, classes, told in (([], 0, "needs captions"), (["?", "!"], 2, "word")):
        bare = SimpleNamespace(num_classes=classes, label_names=names, trained_names=names)
        with pytest.raises(ValueError, match=told):
            check_captions(params, bare)


@pytest.mark.parametrize(
    "section, words",
    [
        ({"kind": "pca", "factor": 3}, "autoencoder.factor: patches of 3x3 pixels do not tile"),
        ({"kind": "pca", "factor": 8}, "cannot be halved 1 times"),
        ({"kind": "pcb"}, "did you mean 'pca'"),
        ({"kind": "none", "factor": 2}, "belongs to kind pca or kl, not none"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(section, words):
    with pytest.raises(ParamsError, match="1 problem") as error:
        check_params({"autoencoder": section, "model": {"structural_blocks": []}})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (prepare, "autoencoder.path: the folder vae does not exist: save one there"),
        (train, "autoencoder: outputs/latents does not hold latents of this autoencoder"),
    ],
)
def test_a_preset_of_latents_without_its_autoencoder_starts_nothing(
    stage, words, tmp_path, monkeypatch
):
    pytest.importorskip("diffusers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    assert apply_preset("latent512")
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(ValueError) as error:
        stage.main()
    assert str(error.value).startswith(words) and "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"presets", "params.yaml"}
