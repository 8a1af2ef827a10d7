"""python -m pipelines.export --student: the folder draws, and the card says of which teacher."""

import json
import re
import sys

import numpy as np
import pytest
import torch
import yaml

import sadm
from evaluation.pictures import sample_grid
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import file_hash, save_weights
from pipelines import export, sample
from pipelines.reporting.stage_outputs import ResultsError
from pipelines.sharing.student_card import what_student, where_called
from sampling.config import SamplerConfig
from sampling.stored_sampler import load_sampler

TWO = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0, 2.5]}
QUICK = {"kind": "distribution_matching", "start": [80.0, 2.5], "samplers": ["two"]}
SMALL = ModelConfig(
    channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
)


@pytest.fixture
def share(tmp_path, monkeypatch):
    """share(*words) exports from the folder of a run with a student; returns the card."""
    monkeypatch.chdir(tmp_path)
    other = {**QUICK, "kind": "distribution_matching"}
    params = {
        "sampling": {"two": TWO},
        "samplers": ["two"],
        "students": {"quick": QUICK, "other": other},
        "distil": ["quick"],
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    torch.manual_seed(0)
    student = Denoiser((1, 8, 8), 3, SMALL)
    with torch.no_grad():
        student.unet.output_gain.fill_(1.0)
    about = {"kind": QUICK["kind"], "levels": QUICK["start"], "teacher_length": 0.1}
    about |= {"teacher_sha256": "ab" * 32}
    weights = tmp_path / "outputs/students/quick/0.05.safetensors"
    told = describe(student) | {"sigma_rel": 0.05, "nimg": 4096, "student": about}
    save_weights(weights, student.state_dict(), told)
    train = {"total_nimg": 4096, "num_parameters": 1234, "structure_kind": "none"}
    (weights.parent / "train.json").write_text(json.dumps(train))
    folder = tmp_path / "outputs/evaluate_students/quick-0.05-two"
    folder.mkdir(parents=True)
    item = {"item": folder.name, "ema_length": 0.05, "sampler": "two", "student": "quick"}
    item |= {"weights_sha256": file_hash(weights), "nfe": 2, "num_images": 64, "n": 32}
    item |= {"metrics": {"kid": {"value": 0.02, "floor": 0.001}}, "protocol": {}}
    (folder / "metrics.json").write_text(json.dumps(item))
    sample_grid(np.full((4, 8, 8, 1), 90, np.uint8)).save(folder / "samples.png")
    data = {"source": "digits", "num_images": 120, "num_train": 90, "num_held_out": 30}
    (tmp_path / "outputs/dataset").mkdir()
    (tmp_path / "outputs/dataset/dataset.json").write_text(json.dumps(data | {"resolution": 8}))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["export", *words])
        export.main()
        return (tmp_path / words[1] / "README.md").read_text()

    return run


def test_a_students_folder_draws_what_its_weights_draw(share, tmp_path, monkeypatch, capsys):
    share("--out", "toy", "--student", "quick")
    assert "export: student quick, EMA length 0.05, judged with two" in capsys.readouterr().out
    assert load_sampler("toy") == SamplerConfig(**(TWO | {"sigmas": (80.0, 2.5)}))
    there = sadm.generate("outputs/students/quick/0.05.safetensors", 5)
    np.testing.assert_array_equal(sadm.generate("toy", 5), there)
    words = ["sample", "toy", "--count", "5", "--npz", "a.npz", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    sample.main()
    np.testing.assert_array_equal(np.load("a.npz")["images"], there)
    with pytest.raises(ValueError, match=r"toy is a student \(distribution_matching\); sampler\."):
        sadm.generate("toy", 5, sampler=SamplerConfig())


def test_the_card_names_kind_teacher_and_levels(share):
    card = share("--out", "toy", "--student", "quick")
    assert "A student (EDM" in card and "8x8 grey images in 3 classes" in card
    assert "distribution matching (DMD2, arXiv 2405.14867)" in card
    assert f"EMA length 0.1, sha256 of the weights file `{'ab' * 32}`" in card
    assert "these noise levels and may be called at no other: 80, 2.5 in this order" in card
    assert "1,234 parameters, trained on 4,096 images" in card and "init_from" not in card
    assert "| KID | 0.0200 |" in card and "two: 2 evaluations each" in card
    code = re.findall(r"```python\n(.*?)```", card, re.S)[0]
    names: dict = {}
    exec(code.replace("FOLDER", "toy"), names)
    assert names["images"].shape == (16, 8, 8, 1)


def test_a_student_of_any_level_and_of_an_older_version():
    assert "at any noise level" in where_called({"kind": "consistency", "levels": None})
    one = where_called({"kind": "regression", "levels": [80.0]})
    assert one.startswith("It was trained for one noise level and") and "other: 80;" in one
    assert "sha256" not in what_student({"kind": "regression", "levels": [80.0]}, "images")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--student", "quik"), "--student quik is not a name under students: did you mean"),
        (("--student", "other"), "--student other: distil does not list it, so it is not trained"),
        (("--student", "quick", "--length", "0.1"), r"0\.1: students\.quick\.lengths has 0\.05$"),
        (("--student", "quick", "--sampler", "x"), r"x: students\.quick\.samplers has two$"),
    ],
)
def test_what_is_no_trained_student_is_one_line(share, tmp_path, words, told):
    with pytest.raises(ValueError, match=told):
        share("--out", "toy", *words)
    assert not (tmp_path / "toy").exists()


def test_a_student_that_was_not_judged_or_was_trained_anew_is_told(share, tmp_path):
    folder = tmp_path / "outputs/evaluate_students/quick-0.05-two"
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text.replace('weights_sha256": "', 'weights_sha256": "0'))
    with pytest.raises(
        ResultsError, match=r"quick-0\.05-two judges other weights than outputs/stu"
    ):
        share("--out", "toy", "--student", "quick")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match="is missing: dvc repro evaluate_students"):
        share("--out", "toy", "--student", "quick")
