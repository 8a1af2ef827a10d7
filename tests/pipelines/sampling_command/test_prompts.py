"""Captioned pictures go from a folder by way of training, with the game, to `sample --prompt`."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from foundation.workers import World
from models.config import EMAConfig, ModelConfig
from models.ema_reconstruction import reconstruct
from models.weights import save_weights
from pipelines import sample
from training.config import NoiseConfig, TrainConfig
from training.loop import train
from training.run_settings import RunSettings
from training.structure.config import StructureConfig

MODEL = {
    "channels": 16,
    "channel_mult": (1,),
    "blocks": 1,
    "attention_resolutions": (),
    "channels_per_head": 16,
    "structural_blocks": (),
    "text": {"kind": "words", "width": 8, "resolutions": (4,)},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights trained on dark and bright squares, each with a caption of its own."""
    folder = tmp_path_factory.mktemp("prompts")
    for number in range(48):
        kind = ("dark", "bright")[number % 2]
        (folder / "set" / kind).mkdir(parents=True, exist_ok=True)
        pixels = np.full((4, 4), (20, 220)[number % 2] + number // 4, np.uint8)
        pixels[number // 2 % 4, number // 8 % 4] = 128
        Image.fromarray(pixels).save(folder / "set" / kind / f"{number}.png")
        (folder / "set" / kind / f"{number}.txt").write_text(f"A {kind} square, number {number}.")
    config = DatasetConfig.model_validate(
        {
            "source": "image_folder",
            "path": str(folder / "set"),
            "resolution": 4,
            "channels": 1,
            "captions": {"kind": "txt"},
        }
    )
    prepare_dataset(config, folder / "dataset")
    settings = RunSettings(
        seed=0,
        model=ModelConfig.model_validate(MODEL),
        noise=NoiseConfig(mean=0.0),
        train=TrainConfig(total_kimg=4, batch_size=64, lr=0.02, lr_ramp_kimg=0, held_out_images=8),
        structure=StructureConfig(kind="graph", start_kimg=2, every=16, batch_size=16, k=3),
        ema=EMAConfig(snapshots=2),
    )
    data = ImageDataset(folder / "dataset")
    assert data.num_classes > 20 and data.num_groups == 2
    train(settings, data, folder / "run", World())
    summary = json.loads((folder / "run" / "train.json").read_text())
    assert summary["structure_plays"] > 1  # the game is played, although captions are unique
    averages, description, _ = reconstruct(folder / "run/snapshots", [0.1])
    save_weights(folder / "0.1.safetensors", averages[0.1], description)
    return folder / "0.1.safetensors"


@pytest.fixture
def draw(weights, tmp_path, monkeypatch, capsys):
    def run(*words):
        line = ["sample", str(weights), "--steps", "6", "--device", "cpu", *words]
        line += ["--npz", str(tmp_path / "a.npz"), "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", line)
        sample.main()
        drawn = np.load(tmp_path / "a.npz")
        return drawn["images"].mean((1, 2, 3)), drawn["labels"].tolist(), capsys.readouterr()

    return run


def test_pictures_follow_the_prompt_and_swapping_two_prompts_swaps_them(draw, tmp_path):
    prompts = ("--prompt", "a dark square", "--prompt", "BRIGHT purple square!")
    means, labels, told = draw("--count", "8", *prompts)
    assert labels == [0, 1] * 4
    assert means[1::2].mean() - means[::2].mean() > 60
    assert "unknown words left out: purple" in told.err
    picture = Image.open(tmp_path / "out" / "000001-class1.png")
    assert picture.info["class"] == "BRIGHT purple square!"
    with pytest.raises(ValueError, match="holds images that are no part of this generation"):
        draw("--count", "8", "--prompt", "a bright square")


def test_guidance_of_weight_one_is_plain_and_more_pushes_further(draw, tmp_path):
    asked = ("--count", "8", "--prompt", "bright square")
    plain, _, _ = draw(*asked)
    shutil.rmtree(tmp_path / "out")
    one, _, _ = draw(*asked, "--guide", "classifier_free=1")
    assert (one == plain).all()
    shutil.rmtree(tmp_path / "out")
    assert (draw(*asked, "--guide", "classifier_free=3")[0] != plain).any()


def test_captions_of_training_are_labels_by_number_and_by_name(draw, weights):
    names = json.loads(weights.with_suffix(".json").read_text())["label_names"]
    _, labels, _ = draw("--count", "2", "--labels", names[3])
    assert labels == [3, 3]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--prompt", "purple circle"), "no word of it is among"),
        (("--prompt", " "), "an empty prompt"),
        (("--prompt", "dark", "--labels", "1"), "give one of the two"),
    ],
)
def test_prompts_that_cannot_be_drawn_are_one_line(draw, words, told):
    with pytest.raises(ValueError, match=told) as error:
        draw("--count", "2", *words)
    assert "\n" not in str(error.value)


def test_the_weights_name_their_encoder_and_its_hash(weights):
    stored = json.loads(weights.with_suffix(".json").read_text())
    assert stored["text"]["encoder"] == "words" and len(stored["text"]["sha256"]) == 64
    assert {"dark", "bright", "square"} < set(stored["text"]["vocabulary"])
    held_out = set(map(str, range(48))) - set(stored["text"]["vocabulary"])
    assert held_out  # words of held-out images alone have no vector
