"""The sheets from Python are those of python -m pipelines.sample."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

import sadm
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from pipelines import sample


def test_sheets_are_those_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, length in enumerate((0.05, 0.1)):
        torch.manual_seed(seed)
        config = ModelConfig(channels=8, attention_resolutions=(), structural_blocks=())
        denoiser = Denoiser((1, 8, 8), 2, config)
        with torch.no_grad():
            denoiser.unet.output_gain.fill_(1.0)
        description = describe(denoiser) | {"sigma_rel": length}
        save_weights(tmp_path / f"{length}.safetensors", denoiser.state_dict(), description)
    few, weights = sadm.SamplerConfig(steps=3), "0.1.safetensors"
    for sheet, words in (
        (sadm.trajectory_sheet(weights, [4, 5], sampler=few), ["--trajectory", "--seeds", "4,5"]),
        (sadm.interpolation_sheet(weights, 3, 1, sampler=few), ["--interpolate", "3", "1"]),
        (
            sadm.interpolation_sheet(weights, 3, 1, sampler=few, labels=[1], frames=4),
            ["--interpolate", "3", "1", "--labels", "1", "--frames", "4"],
        ),
        (sadm.lengths_sheet(".", sampler=few, seed=2), ["--lengths", "--seed", "2"]),
    ):
        line = ["sample", weights, *words, "--steps", "3", "--grid", "g.png", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", line)
        sample.main()
        np.testing.assert_array_equal(np.asarray(Image.open("g.png")), np.asarray(sheet))
    with pytest.raises(ValueError, match=r"labels \[2\]: this denoiser knows 0 to 1"):
        sadm.trajectory_sheet(weights, labels=[2])
