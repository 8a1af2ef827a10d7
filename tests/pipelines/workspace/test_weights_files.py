"""Weights that params name: a file, or an exported folder, in the project or its main checkout."""

import pytest

from models.weights import save_weights
from models.weights_folder import DENOISER
from pipelines.params import check_params
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.weights_files import init_remark, weights_file


def test_an_exported_folder_means_its_weights(tmp_path, monkeypatch):
    project, clone = tmp_path / "project", tmp_path / "clone"
    clone.mkdir()
    (project / "shared" / DENOISER).parent.mkdir(parents=True)
    (project / "shared" / DENOISER).write_bytes(b"")
    (project / "ema").mkdir()
    (project / "ema/0.1.safetensors").write_bytes(b"")
    monkeypatch.setenv("DVC_ROOT", str(project))
    (clone / "shared").mkdir()
    (clone / "shared" / "README.md").write_text("git has this file of the folder alone")
    for here in (project, clone):  # DVC may run a stage in a copy of the project
        monkeypatch.chdir(here)
        assert weights_file("shared", "train.init_from", "null") == project / "shared" / DENOISER
        assert weights_file("ema/0.1.safetensors", "k", "null").parent == project / "ema"
        with pytest.raises(ParamsError, match=r"^train\.init_from: .*ema is a folder of 1 weights"):
            weights_file("ema", "train.init_from", "null")
        with pytest.raises(ParamsError, match=r"^k: no does not exist: .*exported folder, or null"):
            weights_file("no", "k", "null")


def test_latents_of_another_autoencoder_to_begin_with_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    own, other = ({"kind": "latent", "autoencoder": name * 64} for name in "ab")
    save_weights(tmp_path / "old.safetensors", {}, {"codec": own})
    params = check_params({"train": {"init_from": "old.safetensors"}})
    assert init_remark(params, own | {"mean": [0.5]}) is None
    assert "has learned latents of another autoencoder" in init_remark(params, other)
    assert init_remark(check_params({}), other) is None
    save_weights(tmp_path / "old.safetensors", {}, {"codec": {"kind": "none"}})
    assert init_remark(params, {"kind": "none"}) is None
