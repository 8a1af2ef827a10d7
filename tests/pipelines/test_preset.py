"""Presets go in place of unedited params only."""

import shutil
from pathlib import Path

import pytest

from pipelines.params import load_params
from pipelines.preset import apply_preset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_put_in_place_and_again(folder):
    assert apply_preset("cifar10")
    assert not apply_preset("cifar10")
    assert apply_preset("digits")
    assert (folder / "params.yaml").read_text() == (folder / "presets/digits.yaml").read_text()


def test_edited_params_are_never_overwritten(folder):
    apply_preset("digits")
    (folder / "params.yaml").open("a").write("# mine\n")
    with pytest.raises(ValueError, match=r"params\.yaml has been edited"):
        apply_preset("cifar10")
    assert (folder / "params.yaml").read_text().endswith("# mine\n")


def test_unknown_preset_names_the_closest(folder):
    with pytest.raises(ValueError, match="did you mean 'cifar10'"):
        apply_preset("cifar")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem
)
def test_presets_train_in_the_precision_that_every_machine_computes(path):
    assert load_params(path).train.precision == "fp32"
