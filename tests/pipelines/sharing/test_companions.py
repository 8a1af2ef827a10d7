"""An exported folder holds what its weights need: the autoencoder and the encoder of captions."""

import json
import shutil
import warnings
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import sadm
from models.autoencoder import autoencoder_hash, save_autoencoder
from models.autoencoders.pca import PCAAutoencoder
from models.codecs import LatentCodec
from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.weights import WeightsError, load_description, save_weights
from pipelines.sharing.companions import card_lines, companions_of
from pipelines.sharing.folder import write_folder
from pipelines.sharing.model_card import _use, _what
from sampling.config import SamplerConfig

TESTS = Path(__file__).resolve().parents[2]
FEW = SamplerConfig(steps=3)
CAPTIONS = ["a red ball", "a box"]


def denoiser_of(text, codec=None, shape=(1, 8, 8)):
    torch.manual_seed(0)
    config = {"channels": 8, "channel_mult": [1], "structural_blocks": [], "text": text}
    config |= {"attention_resolutions": []}
    denoiser = Denoiser(
        shape, 2, ModelConfig.model_validate_json(json.dumps(config)), codec, CAPTIONS
    )
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
    return denoiser


def stored(denoiser, path):
    save_weights(path, denoiser.state_dict(), describe(denoiser) | {"nimg": 4096})
    return path


def exported(weights, folder):
    picture = weights.with_name("samples.png")
    picture.write_bytes(b"")
    write_folder(folder, weights, companions_of(weights), picture, "card", {})
    return folder


@pytest.fixture
def encoder(tmp_path):
    """A folder with a static encoder."""
    frozen = SimpleNamespace(**run_path(str(TESTS / "models/text_encoders/test_frozen.py")))
    table = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    return frozen.folder_of(tmp_path / "private", {"embedding": table})


def test_a_frozen_encoder_of_a_folder_travels_and_prompts_work_elsewhere(encoder, tmp_path):
    text = {"kind": "static", "path": str(encoder), "resolutions": [8]}
    weights = stored(denoiser_of(text), tmp_path / "ema/0.1.safetensors")
    asked = {"sampler": FEW, "prompts": ["red box", "a ball"]}
    before = sadm.generate(weights, 4, **asked)
    assert (before[0] != before[1]).any()
    folder = exported(weights, tmp_path / "shared")
    lines = " ".join(card_lines(load_description(weights), companions_of(weights)))
    known = load_description(weights)["text"]["sha256"]
    assert "(kind static) in `text_encoder`" in lines and known in lines
    shutil.move(encoder, tmp_path / "gone")
    with pytest.raises(WeightsError, match=r"0\.1\.safetensors: model\.text\.path: .* is neither"):
        load_denoiser(weights)
    np.testing.assert_array_equal(sadm.generate(folder, 4, **asked), before)
    for path in folder.rglob("*.json"):
        assert str(tmp_path) not in path.read_text(), path  # no path of this machine
    shutil.rmtree(folder / "text_encoder")
    with pytest.raises(WeightsError, match="a folder text_encoder beside the weights") as error:
        load_denoiser(folder)
    assert "\n" not in str(error.value)


def test_latents_and_words_are_named_on_the_card(tmp_path):
    network = PCAAutoencoder(1, 3, 2)
    network.fit([torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1])
    file = tmp_path / "outputs/autoencoder/autoencoder.safetensors"
    save_autoencoder(file, network)
    name = autoencoder_hash(file)
    codec = LatentCodec(name, (1, 8, 8), (3, 4, 4), (0.0,) * 3, (1.0,) * 3, random=False)
    text = {"kind": "words", "width": 6, "resolutions": [4]}
    denoiser = denoiser_of(text, codec, (3, 4, 4))
    weights = stored(denoiser, tmp_path / "outputs/ema/0.1.safetensors")
    description = load_description(weights)
    lines = card_lines(description, companions_of(weights))
    assert "kind pca" in lines[0] and "2 times smaller" in lines[0] and name in lines[0]
    assert "a table of 4 words" in lines[1] and description["text"]["sha256"] in lines[1]
    facts = SimpleNamespace(
        description=description,
        companions=lines,
        dataset={"resolution": 8},
        train={"num_parameters": 12},
        sampler={},
        item=SimpleNamespace(ema_length=0.1),
    )
    assert "8x8 images, by way of latents for captions (2 in training)" in _what(facts)
    assert name in _what(facts)
    assert 'prompts="a red ball"' in _use(facts) and "--prompt 'a red ball'" in _use(facts)
    folder = exported(weights, tmp_path / "shared")
    before = sadm.generate(weights, 2, sampler=FEW, prompts=CAPTIONS)
    shutil.rmtree(tmp_path / "outputs/autoencoder")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = sadm.generate(folder, 2, sampler=FEW, prompts=CAPTIONS)
    np.testing.assert_array_equal(after, before)


def test_without_its_autoencoder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codec = LatentCodec("a" * 64, (1, 8, 8), (3, 4, 4), (0.0,) * 3, (1.0,) * 3, random=False)
    weights = stored(denoiser_of(None, codec, (3, 4, 4)), tmp_path / "ema/0.1.safetensors")
    with pytest.raises(WeightsError, match="the autoencoder aaaaaaaaaaaa"):
        exported(weights, tmp_path / "shared")
    assert not (tmp_path / "shared").exists()
