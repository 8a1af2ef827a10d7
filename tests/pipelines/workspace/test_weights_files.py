"""Weights that params name: a file, or an exported folder, in the project or its main checkout."""

import pytest

from models.weights_folder import DENOISER
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.weights_files import weights_file


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
