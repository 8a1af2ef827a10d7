"""Training on latents: what is stored, what is drawn, and that the split of a batch is nothing."""

import json
import pickle
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset.errors import DatasetError
from dataset.latents import LatentDataset, open_dataset
from foundation.workers import World
from models.autoencoder import Moments, autoencoder_hash, save_autoencoder
from models.autoencoders.pca import PCAAutoencoder
from models.codecs import make_codec
from models.codecs.pixel import to_float
from models.denoiser import load_denoiser
from models.weights import WeightsError
from training.batches import draw_batch
from training.distillation.teacher import load_teacher
from training.events import SamplesDrawn
from training.latents import channel_constants, encode_dataset
from training.loop import train

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("small_runs.py"))))


class Spread(PCAAutoencoder):
    """Principal components with a standard deviation, as a KL autoencoder has."""

    def encode(self, images):
        moments = super().encode(images)
        return Moments(moments.mean, 0.2 + 0.1 * moments.mean.abs())


@pytest.fixture(scope="module")
def latents(digits, digits_folder):
    """A function of the class of network: the data set with its latents."""

    def make(network_class, name):
        network = network_class(1, 4, 2)
        network.fit([to_float(digits.images[digits.train_indices])])
        home = digits_folder.parent
        file = home / name / "autoencoder" / "autoencoder.safetensors"
        save_autoencoder(file, network)
        folder = home / name / "latents"
        encode_dataset(
            digits, network, autoencoder_hash(file), folder, lambda *a: None, {"kind": "pca"}
        )
        return network, open_dataset(digits_folder, folder)

    return {name: make(cls, name) for name, cls in (("pca", PCAAutoencoder), ("spread", Spread))}


def test_latents_have_mean_0_and_deviation_half_on_the_train_split(latents):
    for name, (_, data) in latents.items():
        codec = make_codec(data.codec)
        stored, _ = data.stored(data.train_indices)
        noise = torch.randn(len(stored), 4, 4, 4, generator=torch.Generator().manual_seed(0))
        drawn = codec.encode(stored, None, noise if name == "spread" else None)
        assert drawn.mean((0, 2, 3)).abs().max() < 5e-3, name
        assert (drawn.std((0, 2, 3)) - 0.5).abs().max() < 5e-3, name
    assert codec.encode(stored).std((0, 2, 3)).max() < 0.499  # the means alone spread less


def test_the_stored_mirror_is_the_latent_of_the_mirror_image(latents):
    network, data = latents["pca"]
    mirrored = network.encode(to_float(data.images[:50]).flip(3)).stacked().numpy()
    np.testing.assert_allclose(data.moments[:50, 1], mirrored, atol=2e-3)
    assert np.abs(data.moments[:50, 0, ..., ::-1] - mirrored).max() > 0.1


def test_all_else_is_the_picture_data_sets(latents, digits):
    _, data = latents["pca"]
    stored, labels = data.stored([3, 0])
    assert stored.shape == (2, 2, 8, 4, 4) and labels.tolist() == digits.labels[[3, 0]].tolist()
    assert data.image_shape == digits.image_shape and len(data) == len(digits)
    again = pickle.loads(pickle.dumps(data))
    assert isinstance(again, LatentDataset) and again.codec == data.codec


def test_the_kind_none_is_the_picture_data_set(digits_folder, tmp_path):
    (tmp_path / "latents.json").write_text('{"kind": "none"}')
    data = open_dataset(digits_folder, tmp_path)
    assert not isinstance(data, LatentDataset) and make_codec(data.codec).kind == "none"
    config, pixels = runs.settings(train={"horizontal_flip": True}), open_dataset(digits_folder)
    for one, other in zip(
        *(
            vars(
                draw_batch(config, d, make_codec(d.codec), range(40, 72), torch.device("cpu"))
            ).values()
            for d in (data, pixels)
        ),
        strict=True,
    ):
        if one is None:  # the weight of a schedule that has none
            assert other is None
        else:
            assert torch.equal(one, other)  # what a training sees, bit for bit
    with pytest.raises(DatasetError, match="run the encode stage"):
        open_dataset(digits_folder, tmp_path / "gone")


def test_latents_of_other_images_are_refused(latents, digits_folder, tmp_path):
    _, data = latents["pca"]
    facts = json.loads((data.latents_folder / "latents.json").read_text())
    (tmp_path / "latents.json").write_text(json.dumps(facts | {"dataset": "other"}))
    with pytest.raises(DatasetError, match="latents of other images"):
        open_dataset(digits_folder, tmp_path)
    (tmp_path / "latents.json").write_text(json.dumps(facts))
    np.save(tmp_path / "moments.npy", data.moments[:10])
    with pytest.raises(DatasetError, match=r"latents\.json says float16"):
        open_dataset(digits_folder, tmp_path)


def test_draws_do_not_depend_on_how_a_batch_is_split(latents):
    _, data = latents["spread"]
    config = runs.settings(train={"horizontal_flip": True})
    codec, cpu = make_codec(data.codec), torch.device("cpu")
    whole = draw_batch(config, data, codec, range(40, 72), cpu).images
    parts = [draw_batch(config, data, codec, range(s, s + 8), cpu).images for s in range(40, 72, 8)]
    assert torch.equal(whole, torch.cat(parts))
    other = draw_batch(config, data, codec, range(41, 73), cpu).images
    assert torch.equal(whole[1:], other[:-1])
    plain = draw_batch(config.model_copy(update={"seed": 1}), data, codec, range(40, 72), cpu)
    assert not torch.equal(whole, plain.images)


def test_a_constant_channel_is_refused():
    moments = np.zeros((6, 2, 4, 2, 2), np.float16)
    moments[:, :, 0] = np.random.default_rng(0).normal(size=(6, 2, 2, 2))
    with pytest.raises(ValueError, match=r"channel 1 .* use at most 1 channels"):
        channel_constants(moments, np.arange(6))


def test_a_run_on_latents_resumes_bitwise_and_its_pictures_are_decoded(latents, tmp_path):
    _, data = latents["spread"]
    config = runs.settings(
        game="graph", checkpoint_every_s=0, sample_every_kimg=0.128, train={"horizontal_flip": True}
    )
    events = runs.train_whole_and_interrupted(config, data, tmp_path)
    runs.assert_same(runs.final(tmp_path / "whole"), runs.final(tmp_path / "cut"), rtol=0, atol=0)
    pictures = [event.images for event in events if isinstance(event, SamplesDrawn)]
    assert pictures and pictures[-1].shape[1:] == (8, 8, 1)


def test_weights_know_their_latents_and_a_teacher_of_others_is_refused(latents, digits, tmp_path):
    _, data = latents["pca"]
    train(runs.settings(), data, tmp_path, World())
    file = sorted((tmp_path / "snapshots").glob("*.safetensors"))[-1]
    denoiser = load_denoiser(file)
    assert denoiser.codec.describe() == data.codec and denoiser.image_shape == (4, 4, 4)
    assert load_teacher(file, data, World()).image_shape == (4, 4, 4)
    for other in (latents["spread"][1], digits):
        with pytest.raises(WeightsError, match="denoiser of this data set"):
            load_teacher(file, other, World())


@pytest.mark.parametrize("features", ["pixels", "denoiser"])
def test_the_game_reads_features_of_latents(latents, features):
    """Psi of pixels sees decoded pictures, with a gradient through the decoder."""
    from training.methods.denoising import make_denoiser
    from training.structure.features import make_psi

    _, data = latents["pca"]
    config = runs.settings(game="graph")
    denoiser = make_denoiser(config, data)
    psi = make_psi(
        config.structure.model_copy(update={"features": features}), denoiser, denoiser.image_shape
    )
    x = (0.1 * torch.randn(3, 4, 4, 4)).requires_grad_()
    psi(x).square().sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
