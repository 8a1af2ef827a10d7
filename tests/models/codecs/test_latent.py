"""Standardised latents: their equation, and the autoencoder that decodes them."""

import copy

import numpy as np
import pytest
import torch

from models.autoencoder import autoencoder_hash, save_autoencoder
from models.autoencoders.pca import PCAAutoencoder
from models.codecs import LatentCodec, make_codec
from models.codecs.pixel import to_uint8
from models.weights import WeightsError


def stored_pca(folder, seed=0):
    network = PCAAutoencoder(1, 4, 2)
    images = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    network.fit([images])
    save_autoencoder(folder / "autoencoder.safetensors", network)
    return network, images


def codec(name="a" * 64, random=True):
    mean, std = (0.5, -1.0, 0.0, 2.0), (2.0, 1.0, 0.5, 4.0)
    return LatentCodec(name, (1, 8, 8), (4, 4, 4), mean, std, random)


def test_the_equation_of_the_latents():
    moments = np.random.default_rng(0).normal(size=(3, 2, 8, 4, 4)).astype(np.float16)
    noise = torch.randn(3, 4, 4, 4)
    found = codec().encode(moments, torch.tensor([True, False, True]), noise)
    for row, side in enumerate((1, 0, 1)):
        for channel, (mean, std) in enumerate(zip((0.5, -1, 0, 2), (2, 1, 0.5, 4), strict=True)):
            z = moments[row, side, channel].astype(np.float32)
            z = z + moments[row, side, 4 + channel].astype(np.float32) * noise[row, channel].numpy()
            np.testing.assert_allclose(found[row, channel], (z - mean) * 0.5 / std, atol=1e-6)
    plain = codec().encode(moments)
    back = codec().latents(plain)
    np.testing.assert_allclose(back, moments[:, 0, :4].astype(np.float32), atol=1e-5)


def test_noise_is_asked_for_only_where_a_picture_has_a_distribution():
    assert codec(random=True).noise_shape == (4, 4, 4) and codec(random=False).noise_shape is None


def test_a_codec_is_made_again_from_its_description_and_odd_ones_are_refused(odd_variants):
    description = codec().describe()
    assert make_codec(description).describe() == description
    for key in description.keys() - {"kind", "random", "autoencoder"}:
        for odd in odd_variants(description[key]):
            try:
                again = make_codec({**description, key: odd}).describe()
            except ValueError as error:
                assert "codec" in str(error)
            else:
                assert again[key] == odd or again[key] == list(map(float, odd))


def test_the_right_autoencoder_decodes_and_another_is_refused(tmp_path):
    network, images = stored_pca(tmp_path / "run" / "autoencoder")
    stored_pca(tmp_path / "other" / "autoencoder", seed=1)
    right = codec(autoencoder_hash(tmp_path / "run" / "autoencoder"))
    moments = network.encode(images).stacked().numpy()
    data = right.encode(np.stack([moments, moments], 1))
    right.look_near(tmp_path / "run" / "ema" / "0.1.safetensors")
    assert (right.decode(data) == to_uint8(images)).all()
    assert copy.deepcopy(right) is right
    lost = make_codec(right.describe())
    lost.look_near(tmp_path / "other" / "ema" / "0.1.safetensors")
    with pytest.raises(WeightsError, match=r"is not the autoencoder .* decode them into noise"):
        lost.decode(data)
    nowhere = make_codec(right.describe())
    nowhere.look_near(tmp_path / "a" / "b" / "c" / "d" / "e" / "f")
    with pytest.raises(WeightsError, match=r"is not there: put autoencoder.safetensors"):
        nowhere.decode(data)


def test_pictures_carry_a_gradient_and_stay_in_range(tmp_path):
    stored_pca(tmp_path / "autoencoder")
    one = codec(autoencoder_hash(tmp_path / "autoencoder"))
    one.look_near(tmp_path / "weights.safetensors")
    data = (0.01 * torch.randn(2, 4, 4, 4)).requires_grad_()
    pictures = one.pictures(data)
    pictures.square().sum().backward()
    assert data.grad is not None and data.grad.abs().max() > 0
    assert one.pictures(100 * data).abs().max() <= 1


def test_pictures_of_another_shape_are_refused():
    assert codec().data_shape((1, 8, 8)) == (4, 4, 4)
    with pytest.raises(ValueError, match="dvc repro encode"):
        codec().data_shape((3, 8, 8))
