"""The command that learns classes from a few images, on an untrained network."""

import json
import sys

import pytest
import torch

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from models.adapter_file import load_adapter
from models.attribute_loss import KINDS
from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.weights import save_weights
from pipelines.few_shot import __main__ as command
from pipelines.few_shot.learn import share

QUICK = ["--steps", "2", "--batch", "4", "--levels", "4", "--images", "30"]


def save_untrained(path, shape=(1, 8, 8)):
    torch.manual_seed(0)
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser(shape, 0, config)
    torch.nn.init.constant_(denoiser.unet.output_gain, 1.0)
    save_weights(path, denoiser.state_dict(), describe(denoiser))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare_dataset(DatasetConfig(), folder)
    return folder


@pytest.fixture
def run(digits, tmp_path, monkeypatch):
    """Runs the command in a folder with weights; the data set lies elsewhere."""
    monkeypatch.chdir(tmp_path)
    save_untrained(tmp_path / "w.safetensors")
    save_untrained(tmp_path / "large.safetensors", (1, 16, 16))

    def start(*words, weights="w.safetensors"):
        given = ["few_shot", weights, "--dataset", str(digits), *words]
        monkeypatch.setattr(sys, "argv", given)
        command.main()

    return start


def test_adapters_are_made_judged_and_kept(run, tmp_path, capsys):
    run("--shots", "3", "--classes", "3,5,8", *QUICK)
    said = capsys.readouterr().out
    assert "3 classes (3, 5, 8), 3 images of each; 30 other images judged, chance 33%" in said
    for line in ("weight time_step", "logistic regression on the bottleneck", "nearest pixels"):
        assert line in said
    out = tmp_path / "outputs/few_shot"
    result = json.loads((out / "few_shot.json").read_text())
    assert result["adapters"] == ["3.safetensors", "5.safetensors", "8.safetensors"]
    assert set(result["accuracy"]) == {*KINDS, "logistic regression", "nearest pixels"}
    assert sum(part["of"] for part in result["right_by_class"].values()) == 30
    assert load_adapter(load_denoiser("w.safetensors"), out / "5.safetensors") == "class_5"
    # The same command fits nothing again; other settings do.
    before = {file.name: file.stat().st_mtime_ns for file in out.glob("*.safetensors")}
    run("--shots", "3", "--classes", "3,5,8", *QUICK, "--rounds", "2:2,4:1")
    assert "3 of the adapters stood already" in capsys.readouterr().out
    assert before == {file.name: file.stat().st_mtime_ns for file in out.glob("*.safetensors")}
    again = json.loads((out / "few_shot.json").read_text())
    assert again["rounds"] == [[2, 2], [4, 1]]
    assert set(again["accuracy"]) == {"time_step", "logistic regression", "nearest pixels"}
    run("--shots", "3", "--classes", "3,5,8", *QUICK, "--prior", "10", "--shift", "1")
    assert "stood already" not in capsys.readouterr().out


def test_the_command_names_all_weights():
    assert set(command.WEIGHTS) == set(KINDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shots", "500"], "class '0' has .* training images, and 500 shots"),
        (["--shots", "0"], "--shots 0: give 1 or more"),
        (["--classes", "3,77"], "unknown class '77'"),
        (["--classes", "3"], "one class, '3', is nothing to tell apart"),
        (["--classes", "3,3"], "name each once"),
        (["--sigma-range", "5,0.05"], "sigma_range 5,0.05 is empty"),
        (["--sigma-range", "1,1"], "sigma_range 1,1 is empty"),
        (["--sigma-range", "5"], "--sigma-range 5: give LOW,HIGH"),
        (["--rounds", "8"], "--rounds 8: give LEVELS:CLASSES"),
        (["--rounds", "8:2,16:1"], "the last asks at all 32 levels"),
        (["--prior", "5"], "every image is of one"),
        (["--rank", "0"], "--rank 0: give 1 or more"),
        (["--lr", "nan"], "lr nan"),
        (["--seed", "-1"], "--seed -1"),
        (["--dataset", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_line(run, tmp_path, words, message):
    with pytest.raises((ValueError, OSError), match=message) as caught:
        run(*words)
    assert "\n" not in str(caught.value).strip()
    assert not (tmp_path / "outputs").exists()


def test_weights_of_other_images_are_refused(run):
    with pytest.raises(ValueError, match=r"draws images \[1, 16, 16\], and .* holds \[1, 8, 8\]"):
        run(weights="large.safetensors")
    with pytest.raises(ValueError, match=r"none\.safetensors does not exist"):
        run(weights="none.safetensors")


def test_a_share_has_its_wilson_interval():
    """18 of 20: 0.699 to 0.972 (Wilson 1927)."""
    found = share(torch.arange(20).numpy() < 18)
    assert found["value"] == 0.9 and (found["right"], found["of"]) == (18, 20)
    assert found["low"] == pytest.approx(0.699, abs=1e-3)
    assert found["high"] == pytest.approx(0.972, abs=1e-3)
