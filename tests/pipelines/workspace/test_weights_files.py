"""Weights that params name: a file, or an exported folder, in the project or its main checkout."""

import pytest

from models.text_encoders.files import EncoderFiles
from models.weights import save_weights
from models.weights_folder import DENOISER
from pipelines.params import check_params
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.weights_files import init_remarks, weights_file


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


def test_what_weights_to_begin_with_know_otherwise_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    own, other = ({"kind": "latent", "autoencoder": name * 64} for name in "ab")
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    (encoder / "model.safetensors").write_bytes(b"weights")
    (encoder / "tokenizer.json").write_bytes(b"{}")
    known = {"encoder": "static", "sha256": EncoderFiles("encoder", "?").sha256}
    params = check_params(
        {
            "train": {"init_from": "old.safetensors"},
            "model": {"text": {"kind": "static", "path": "encoder"}},
        }
    )
    save_weights(tmp_path / "old.safetensors", {}, {"codec": own, "text": known})
    assert list(init_remarks(params, own | {"mean": [0.5]})) == []
    (line,) = init_remarks(params, other)
    assert "has learned latents of another autoencoder" in line
    save_weights(tmp_path / "old.safetensors", {}, {"codec": own, "text": known | {"sha256": "0"}})
    (line,) = init_remarks(params, own)
    assert "has learned captions by another encoder (static)" in line
    save_weights(tmp_path / "old.safetensors", {}, {"codec": {"kind": "none"}})
    assert list(init_remarks(params, {"kind": "none"})) == []
    assert list(init_remarks(check_params({}), other)) == []
