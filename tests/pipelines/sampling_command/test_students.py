"""Weights of a student draw by themselves at their own levels, and refuse what does not fit."""

import sys

import numpy as np
import pytest
import torch

import sadm
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import WeightsError, save_weights
from pipelines import sample
from sampling.stored_sampler import load_sampler, student_of


def save_student(path, **student):
    torch.manual_seed(0)
    config = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    denoiser = Denoiser((1, 8, 8), 3, config)
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
    about = {"student": student} if student else {}
    save_weights(path, denoiser.state_dict(), describe(denoiser) | about)
    return path


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sample", *map(str, words), "--device", "cpu"])
    sample.main()


def test_a_student_draws_at_its_levels(tmp_path, monkeypatch):
    student = save_student(tmp_path / "a.safetensors", kind="regression", levels=[80.0, 2.5])
    plain = save_student(tmp_path / "b.safetensors")
    assert load_sampler(student).visited_levels() == (80.0, 2.5)
    assert load_sampler(student).solver == "consistency"
    assert load_sampler(plain).nfe == 35 and student_of(plain) is None
    run(monkeypatch, student, "--count", "2", "--npz", tmp_path / "a.npz")
    images = np.load(tmp_path / "a.npz")["images"]
    labels = np.load(tmp_path / "a.npz")["labels"]
    drawn = sadm.generate(student, labels=labels.tolist(), count=2)
    assert np.array_equal(np.asarray(drawn), images) and images.std() > 0
    anywhere = save_student(tmp_path / "c.safetensors", kind="consistency", levels=None)
    assert load_sampler(anywhere).visited_levels() == (80.0,)
    run(monkeypatch, anywhere, "--count", "1", "--npz", tmp_path / "c.npz")
    assert load_sampler(tmp_path).nfe == 2, "a folder is the first of its weights"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--guide", "classifier_free=2"], r"student \(regression\); sampler.guidance: .* leave"),
        (["--adapter"], "sampler.adapter: a student has no adapter"),
        (["--solver", "heun", "--grid-name", "karras"], "sampler.solver: heun in 18 steps"),
        (["--grid-name", "karras", "--steps", "3"], "sampler.steps: 3 evaluations, .* at most 2"),
    ],
)
def test_what_does_not_fit_a_student_is_one_line(tmp_path, monkeypatch, words, told):
    student = save_student(tmp_path / "a.safetensors", kind="regression", levels=[80.0, 2.5])
    with pytest.raises(ValueError, match=told) as caught:
        run(monkeypatch, student, "--npz", tmp_path / "a.npz", *words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("levels", [[2.0, 80.0], ["x"], 3, "80"])
def test_levels_that_cannot_be_read_are_told(tmp_path, levels):
    student = save_student(tmp_path / "a.safetensors", kind="regression", levels=levels)
    with pytest.raises(WeightsError, match="the entry student cannot be read"):
        load_sampler(student)
