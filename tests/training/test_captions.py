"""Training for captions, also of latents, gives the same however the batch is split."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dataset.config import DatasetConfig
from dataset.latents import open_dataset
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from foundation.workers import World
from models.autoencoder import autoencoder_hash, save_autoencoder
from models.autoencoders.pca import PCAAutoencoder
from models.codecs.pixel import to_float
from models.config import ModelConfig
from training.latents import encode_dataset
from training.loop import train
from training.methods.build import build_method

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("small_runs.py"))))

COLOURS = {"dark": 30, "grey": 120, "bright": 220}


def captioned_latents(folder):
    """48 captioned pictures at 8x8, and their latents of 3 channels at 4x4, in two folders."""
    for number in range(48):
        name, kind = list(COLOURS)[number % 3], ("square", "bar")[number // 3 % 2]
        pixels = np.full((8, 8), COLOURS[name] + number // 6, np.uint8)
        pixels[number % 7, : 4 if kind == "square" else 7] = 255 - pixels[0, 0]
        (folder / "set" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "set" / kind / f"{number}.png")
        (folder / "set" / kind / f"{number}.txt").write_text(f"A {name} {kind}.")
    config = {"source": "image_folder", "path": str(folder / "set"), "resolution": 8}
    config |= {"channels": 1, "captions": {"kind": "txt"}}
    prepare_dataset(DatasetConfig.model_validate(config), folder / "dataset")
    data = ImageDataset(folder / "dataset")
    network = PCAAutoencoder(1, 3, 2)
    network.fit([to_float(data.images[data.train_indices])])
    file = folder / "autoencoder" / "autoencoder.safetensors"
    save_autoencoder(file, network)
    latents, facts = folder / "latents", {"kind": "pca"}
    encode_dataset(data, network, autoencoder_hash(file), latents, lambda *a: None, facts)
    return folder / "dataset", latents


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    return open_dataset(*captioned_latents(tmp_path_factory.mktemp("captioned")))


def settings(**changes):
    text = {"kind": "words", "width": 6, "resolutions": (4,)}
    model = ModelConfig.model_validate(runs.SMALL.model_dump() | {"text": text})
    return runs.settings(model=model, checkpoint_every_s=60, **changes)


def test_micro_batches_change_nothing_but_rounding(captioned, tmp_path):
    short = {"total_kimg": 0.096, "game": "graph"}
    train(settings(**short), captioned, tmp_path / "whole", World())
    train(settings(**short, micro_batch=6), captioned, tmp_path / "parts", World())
    whole, parts = (runs.final(tmp_path / name) for name in ("whole", "parts"))
    assert any("conditions.table" in name for name in whole[0])  # the words are trained
    runs.assert_same(whole, parts, rtol=1e-3, atol=2e-4)


class OneOf(World):
    """One rank of several, whose exchanges with the others are left out."""

    def all_reduce_sum_(self, tensor):
        return tensor


def test_the_shares_of_two_workers_add_up_to_the_gradient(captioned):
    def gradients(world):
        method = build_method(settings(), captioned, world)
        with torch.no_grad():  # gains are 0 at first, which would hide the words
            for name, parameter in method.denoiser.named_parameters():
                if name.endswith("gain"):
                    parameter.fill_(0.5)
        sums = method.accumulate("denoiser", range(1600, 1616))
        named = method.denoiser.named_parameters()
        return {name: p.grad for name, p in named if p.grad is not None}, sums

    whole, sums = gradients(World())
    parts = [gradients(OneOf(rank, 2)) for rank in range(2)]
    assert whole["conditions.table.weight"].abs().max() > 0
    for name, gradient in whole.items():
        total = parts[0][0][name] + parts[1][0][name]
        torch.testing.assert_close(gradient, total, rtol=1e-3, atol=1e-6)
    total = parts[0][1]["loss"] + parts[1][1]["loss"]
    torch.testing.assert_close(sums["loss"], total, rtol=1e-5, atol=0)
