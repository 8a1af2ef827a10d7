"""Names of classes go from a folder of images by way of training to `sample --labels`."""

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


def test_a_class_is_asked_for_by_the_name_of_its_folder(tmp_path, monkeypatch):
    for number in range(24):
        folder = tmp_path / "photos" / ("cats", "dogs", "owls")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    config = DatasetConfig(
        source="image_folder", path=str(tmp_path / "photos"), resolution=8, channels=1
    )
    prepare_dataset(config, tmp_path / "dataset")
    settings = RunSettings(
        seed=0,
        model=ModelConfig(
            channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
        ),
        noise=NoiseConfig(),
        train=TrainConfig(total_kimg=0.016, batch_size=8, held_out_images=8),
        structure=StructureConfig(kind="none"),
        ema=EMAConfig(snapshots=2),
    )
    train(settings, ImageDataset(tmp_path / "dataset"), tmp_path / "run", World())
    averages, description, _ = reconstruct(tmp_path / "run/snapshots", [0.1])
    save_weights(tmp_path / "0.1.safetensors", averages[0.1], description)

    def labels(words):
        line = ["sample", str(tmp_path / "0.1.safetensors"), "--count", "2", "--steps", "2"]
        line += ["--labels", words, "--npz", str(tmp_path / "a.npz"), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", line)
        sample.main()
        return np.load(tmp_path / "a.npz")["labels"].tolist()

    assert labels("owls,cats") == [2, 0] and labels("1") == [1, 1]
    with pytest.raises(ValueError, match="unknown class 'dog': did you mean 'dogs'"):
        labels("dog")
