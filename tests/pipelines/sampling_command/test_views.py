"""python -m pipelines.sample --trajectory, --interpolate, --lengths: sheets and their arrays."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from pipelines import sample
from pipelines.sampling_command.views import class_name, sigma_name


@pytest.fixture(scope="module")
def ema(tmp_path_factory):
    """A folder of two EMA lengths."""
    folder = tmp_path_factory.mktemp("ema")
    for seed, length in enumerate((0.05, 0.1)):
        torch.manual_seed(seed)
        config = ModelConfig(
            channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
        )
        denoiser = Denoiser((1, 8, 8), 3, config, label_names=["cat", "7", "ox"])
        with torch.no_grad():
            denoiser.unet.output_gain.fill_(1.0)
        description = describe(denoiser) | {"sigma_rel": length}
        save_weights(folder / f"{length}.safetensors", denoiser.state_dict(), description)
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command with 3 steps; the arrays that it writes."""

    def run(*words):
        path = tmp_path / "a.npz"
        words = [*map(str, words), "--steps", "3", "--npz", str(path), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["sample", *words])
        sample.main()
        return dict(np.load(path, allow_pickle=False))

    return run


def test_a_trajectory_ends_at_the_images(ema, run, tmp_path):
    weights, grid = ema / "0.1.safetensors", tmp_path / "t.png"
    found = run(weights, "--trajectory", "--seeds", "4,5", "--labels", "cat,ox", "--grid", grid)
    images = run(weights, "--seeds", "4,5", "--labels", "cat,ox")["images"]
    assert found["images"].shape == (4, 4, 8, 8, 1) and found["states"].shape == (4, 2, 1, 8, 8)
    for row in range(4):  # noisy and denoised of either image
        np.testing.assert_array_equal(found["images"][row, -1], images[row // 2])
    assert found["labels"].tolist() == [0, 2] and found["seeds"].tolist() == [4, 5]
    assert (np.diff(found["sigmas"]) < 0).all() and found["sigmas"][-1] == 0
    noisy = found["images"][0, 0].astype(int)
    assert np.abs(noisy - images[0]).max() > 20 and 20 < noisy.std() < 100
    assert Image.open(grid).size[0] > 4 * 56


def test_an_interpolation_has_a_row_for_each_class(ema, run, tmp_path):
    weights, animation = ema / "0.1.safetensors", tmp_path / "a.gif"
    found = run(weights, "--interpolate", 9, 2, "--frames", 5, "--animation", animation)
    assert found["images"].shape == (3, 5, 8, 8, 1) and found["labels"].tolist() == [0, 1, 2]
    for end, number in ((0, 9), (-1, 2)):
        ends = run(weights, "--seeds", f"{number},{number},{number}")["images"]
        assert np.abs(found["images"][:, end].astype(int) - ends).max() <= 1
    assert Image.open(animation).n_frames == 8  # there and back
    one = run(weights, "--interpolate", 9, 2, "--labels", "ox,7", "--frames", 5)["images"]
    assert np.abs(one.astype(int) - found["images"][[2, 1]]).max() <= 1


@pytest.mark.parametrize("name", [".", "0.1.safetensors"])
def test_lengths_of_a_folder_side_by_side(ema, run, name, tmp_path):
    grid = tmp_path / "l.webp"
    found = run(ema / name, "--lengths", "--seeds", "3,1", "--labels", "7", "--grid", grid)
    assert found["lengths"].tolist() == [0.05, 0.1] and found["labels"].tolist() == [1, 1]
    for column, length in enumerate(("0.05", "0.1")):
        images = run(ema / f"{length}.safetensors", "--seeds", "3,1", "--labels", "7")["images"]
        np.testing.assert_array_equal(found["images"][:, column], images)
    assert (found["images"][:, 0] != found["images"][:, 1]).any()
    assert Image.open(grid).format == "WEBP"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trajectory", "--out", "x"], "--trajectory draws one sheet: name it by --grid"),
        (["--trajectory", "--seeds", "0-100"], "shows 100 images at most, and 101 are asked for"),
        (["--trajectory", "--columns", "1"], "--columns 1: give 2 to 1000"),
        (["--lengths", "--animation", "x.gif"], "give --interpolate A B too"),
        (["--interpolate", "0", "1", "--count", "3"], "leave --count and --seeds out"),
        (["--interpolate", "0", "1", "--frames", "1"], "--frames 1: give 2 to 1000"),
        (["--interpolate", "0", "1", "--solver", "consistency"], "adds fresh noise"),
    ],
)
def test_what_does_not_go_together_is_told(ema, run, words, told):
    with pytest.raises(ValueError, match=told):
        run(ema / "0.1.safetensors", *words)


def test_names_on_sheets():
    shown = [sigma_name(sigma) for sigma in (157.3, 80.0, 5.3151, 0.29, 0.002, 0.0)]
    assert shown == ["157", "80", "5.3", "0.29", "0.002", "0"]
    names = ["cat", "7", "\U0010fffd"]  # the last has no font
    assert [class_name(label, names) for label in (0, 1, 2, 3, -1)] == [
        *("cat", "class 7", "class 2", "class 3", "no class")
    ]
