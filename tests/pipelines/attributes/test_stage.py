"""The stage that trains predictors: once each, found by the sampler, and judged by shares."""

import json
import sys
from pathlib import Path
from runpy import run_path

import pytest
import yaml

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from pipelines.attributes import stage
from pipelines.params import load_params
from pipelines.sample import main as sample
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.fingerprint import item_fingerprint

ROOT = Path(__file__).parents[3]
save_toy = run_path(str(Path(__file__).parents[1] / "toy_network.py"))["save_toy"]
TARGET = {"3": 0.5, "7": 0.5}
STEERED = {"kind": "marginal", "attribute": "digit", "target": TARGET, "weight": 5.0}


@pytest.fixture
def project(workspace, monkeypatch):
    """A copy of the code with digits and untrained averages of two lengths."""
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    prepare_dataset(DatasetConfig(), workspace / "outputs/dataset")
    (workspace / "outputs/ema").mkdir()
    for seed, length in enumerate(("0.05", "0.1")):
        save_toy(
            workspace / f"outputs/ema/{length}.safetensors", 0, seed=seed, class_conditional=False
        )
    return workspace


def write_params(project, attributes, guidance=(STEERED,)):
    params = yaml.safe_load((ROOT / "presets/digits.yaml").read_text())
    params["model"]["class_conditional"] = False
    params["ema"]["lengths"] = [0.05, 0.1]
    params["tracking"]["enabled"] = False
    params["attributes"] = attributes
    params["sampling"]["steered"] = {"solver": "heun", "steps": 2, "guidance": list(guidance)}
    params["samplers"] = ["heun18", "steered"]
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def run(main, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["command", *words])
    main()


def digit(**changes):
    return {"values": ["3", "7"], "images": 40, "steps": 3, **changes}


def read(path):
    return json.loads(Path(path).read_text())


def test_predictors_are_made_once_and_a_new_one_alone(project, monkeypatch, capsys):
    write_params(project, {"digit": digit()})
    run(stage.main, monkeypatch)
    first = read("outputs/attributes/attributes.json")
    assert set(first["attributes"]["digit"]) == {"0.05", "0.1"}
    assert len(set(first["attributes"]["digit"].values())) == 2
    plain = read("outputs/attributes/items/0.1-heun18.json")
    assert plain == {"predictors": {}}
    steered = Path("outputs/attributes/items/0.1-steered.json").read_bytes()
    assert json.loads(steered)["predictors"] == {"digit": first["attributes"]["digit"]["0.1"]}
    before = item_fingerprint(load_params(), 0.1, "steered")
    capsys.readouterr()

    write_params(project, {"digit": digit(), "other": digit(values=["1", "2"])})
    run(stage.main, monkeypatch)
    said = capsys.readouterr().out
    assert said.count("as trained before") == 2 and said.count("other, EMA length") == 2
    assert Path("outputs/attributes/items/0.1-steered.json").read_bytes() == steered
    assert item_fingerprint(load_params(), 0.1, "steered") == before

    write_params(project, {"digit": digit(steps=4)})
    run(stage.main, monkeypatch)
    assert "as trained before" not in capsys.readouterr().out
    assert Path("outputs/attributes/items/0.1-steered.json").read_bytes() != steered
    assert item_fingerprint(load_params(), 0.1, "steered") != before
    assert not Path("outputs/attributes/other").exists()


def test_a_damaged_copy_is_trained_anew(project, monkeypatch, capsys):
    write_params(project, {"digit": digit()})
    run(stage.main, monkeypatch)
    weights = Path("outputs/attributes/digit/0.1.safetensors").read_bytes()
    for path in Path(".runs/attributes").glob("*-0.1/predictor.safetensors"):
        path.write_bytes(b"damaged")
    capsys.readouterr()
    run(stage.main, monkeypatch)
    said = capsys.readouterr().out
    assert "digit-0.05: as trained before" in said and "digit, EMA length 0.1: 40" in said
    assert Path("outputs/attributes/digit/0.1.safetensors").read_bytes() == weights


def test_samples_find_the_predictor_of_their_weights(project, monkeypatch):
    write_params(project, {"digit": digit()})
    words = ["outputs/ema/0.05.safetensors", "--sampler", "steered", "--count", "2"]
    with pytest.raises(ValueError, match="run `dvc repro attributes`"):
        run(sample, monkeypatch, *words, "--grid", "a.png")
    run(stage.main, monkeypatch)
    run(sample, monkeypatch, *words, "--grid", "a.png")
    run(sample, monkeypatch, words[0], "--steps", "2", "--count", "2", "--grid", "b.png")
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()


def test_without_attributes_there_is_one_small_json(project, monkeypatch, capsys):
    write_params(project, {}, guidance=())
    run(stage.main, monkeypatch)
    assert read("outputs/attributes/attributes.json") == {"attributes": {}}
    assert "name no attribute" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("attributes", "entry", "message"),
    [
        ({}, STEERED, r"sampling.steered.guidance\[0\].attribute: 'digit' is not a name"),
        ({"digits": digit()}, STEERED, "did you mean 'digits'"),
        ({"a b": digit()}, None, "letters, digits and _ only"),
        ({"digit": digit()}, STEERED | {"predictor": "p.safetensors"}, "not both"),
        (
            {"digit": digit()},
            {"kind": "marginal", "target": TARGET, "predictor": "p.safetensors"},
            "give attribute, a name under `attributes`",
        ),
        ({"digit": digit(values=["3"])}, None, "attributes.digit.values"),
        ({"digit": digit(layers=4)}, None, "few images fit no deeper one"),
    ],
)
def test_settings_that_do_not_fit_are_refused(project, attributes, entry, message):
    write_params(project, attributes, [entry] if entry else ())
    with pytest.raises(ParamsError, match=message):
        load_params()
