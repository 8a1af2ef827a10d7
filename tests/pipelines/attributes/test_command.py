"""The command that trains a predictor, and samples that it steers, on an untrained network."""

import re
import sys
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import yaml

import pipelines.attributes.__main__ as command
from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from models.attribute_predictor import load_attribute_predictor
from models.weights import WeightsError, load_description
from pipelines.sample import main as sample

ROOT = Path(__file__).parents[3]
save_toy = run_path(str(Path(__file__).parents[1] / "toy_network.py"))["save_toy"]
SHARES = {"3": 0.5, "7": 0.5}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with digits, weights of an untrained denoiser without classes, and params."""
    monkeypatch.chdir(tmp_path)
    prepare_dataset(DatasetConfig(), tmp_path / "outputs/dataset")
    save_toy(tmp_path / "w.safetensors", 0, seed=0, class_conditional=False)
    text = (ROOT / "presets/digits.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("class_conditional: true", "class_conditional: false")
    )
    return tmp_path


def run(main, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["command", *words])
    main()


def unlabelled(said):
    """Images of the bank that have no label, as the command tells: all others of these classes."""
    return int(re.search(r", a bank of ([\d,]+) unlabelled ones", said)[1].replace(",", ""))


def test_a_predictor_without_a_bank_has_none(project, monkeypatch, capsys):
    words = ["w.safetensors", "--values", "3,7", "--images", "40", "--steps", "1", "--bank", "0"]
    run(command.main, monkeypatch, *words)
    assert "a bank of" not in capsys.readouterr().out
    predictor, _ = load_attribute_predictor(project / "outputs/attribute.safetensors")
    assert predictor.bank is None


def test_the_bank_holds_images_of_the_attribute_alone(project, monkeypatch, capsys):
    words = ["w.safetensors", "--values", "3,7", "--images", "40", "--steps", "1"]
    run(command.main, monkeypatch, *words)
    dataset = ImageDataset(project / "outputs/dataset")
    own = [dataset.label_names.index(name) for name in ("3", "7")]
    of_them = np.isin(dataset.labels[dataset.train_indices], own).sum()
    assert unlabelled(capsys.readouterr().out) == of_them - 40


def test_a_predictor_is_made_and_steers_samples(project, monkeypatch, capsys):
    run(
        command.main,
        monkeypatch,
        "w.safetensors",
        "--values",
        "3,7",
        "--images",
        "40",
        "--steps",
        "5",
    )
    said = capsys.readouterr().out
    assert "40 training images (3 " in said and "0.002 to  0.008" in said
    assert "of the training images have one of these values" in said
    predictor, _ = load_attribute_predictor(project / "outputs/attribute.safetensors")
    assert predictor.names == ("3", "7")
    assert predictor.bank is not None and len(predictor.bank.images) == 30 + unlabelled(said)
    about = load_description(project / "outputs/attribute.safetensors")
    assert about["training"]["images"] == 40 and len(about["training"]["accuracy"]) == 8
    drawn = {}
    for name, entry in (
        ("plain", []),
        ("marginal", [{"kind": "marginal", "target": SHARES, "weight": 5.0}]),
        ("distribution", [{"kind": "distribution", "target": SHARES, "weight": 5.0, "group": 4}]),
    ):
        write_sampler(
            project, [one | {"predictor": "outputs/attribute.safetensors"} for one in entry]
        )
        out = project / f"{name}.png"
        words = ["w.safetensors", "--sampler", "steered", "--count", "8", "--grid", str(out)]
        run(sample, monkeypatch, *words)
        drawn[name] = out.read_bytes()
    assert len(set(drawn.values())) == 3
    write_sampler(
        project,
        [{"kind": "distribution", "target": SHARES, "predictor": "outputs/attribute.safetensors"}],
    )
    with pytest.raises(ValueError, match="8 images would cut its groups of 64"):
        run(sample, monkeypatch, *words)


def test_weights_need_no_name_where_there_is_one(project, monkeypatch, capsys):
    words = ["--values", "3,7", "--images", "40", "--steps", "1"]
    with pytest.raises(WeightsError, match="outputs/ema holds no weights"):
        run(command.main, monkeypatch, *words)
    save_toy(project / "outputs/ema/0.1.safetensors", 0, seed=0, class_conditional=False)
    run(command.main, monkeypatch, *words)
    assert (project / "outputs/attribute.safetensors").is_file()
    save_toy(project / "outputs/ema/0.05.safetensors", 0, seed=1, class_conditional=False)
    with pytest.raises(WeightsError, match="holds 2 weights files: name one of them, such as"):
        run(command.main, monkeypatch, *words)


def write_sampler(project, guidance):
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["sampling"]["steered"] = {"solver": "heun", "steps": 2, "guidance": guidance}
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def test_a_predictor_of_other_weights_is_refused(project, monkeypatch):
    run(
        command.main,
        monkeypatch,
        "w.safetensors",
        "--values",
        "1,2",
        "--images",
        "40",
        "--steps",
        "1",
    )
    save_toy(project / "w.safetensors", 0, seed=1, class_conditional=False)
    entry = {
        "kind": "marginal",
        "target": {"1": 1.0},
        "predictor": "outputs/attribute.safetensors",
    }
    write_sampler(project, [entry])
    with pytest.raises(ValueError, match="is of another denoiser"):
        run(sample, monkeypatch, "w.safetensors", "--sampler", "steered", "--grid", "a.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--values", "3,77"], "unknown class '77'"),
        (["--images", "2"], "--images 2: give 4 or more"),
        (["--layers", "4"], "--layers 4: at most 3"),
        (["--values", "3"], "needs two values"),
    ],
)
def test_what_cannot_be_learned_is_refused(project, monkeypatch, words, message):
    with pytest.raises(ValueError, match=message):
        run(command.main, monkeypatch, "w.safetensors", *words)
    assert not np.any([path.suffix == ".safetensors" for path in (project / "outputs").iterdir()])
