"""The convolutional autoencoder: sizes, what one image's latent depends on, files."""

import pytest
import torch

from models.autoencoder import load_autoencoder, save_autoencoder
from models.autoencoders.config import KLConfig
from models.autoencoders.kl import KLAutoencoder
from models.weights import WeightsError


def network(factor=4, channels=3, width=8):
    torch.manual_seed(0)
    return KLAutoencoder(channels, 4, factor, width)


def pictures(count=3, channels=3, side=16):
    return torch.rand(count, channels, side, side, generator=torch.manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_every_factor_halves_so_often_and_comes_back(factor):
    model, images = network(factor), pictures()
    moments = model.encode(images)
    assert tuple(moments.mean.shape) == (3, *model.latent_shape((3, 16, 16)))
    assert moments.std.shape == moments.mean.shape == (3, 4, 16 // factor, 16 // factor)
    assert model.decode(moments.mean).shape == images.shape


def test_the_default_has_about_a_million_weights():
    config = KLConfig()
    model = KLAutoencoder(3, config.channels, config.factor, config.width)
    assert 0.9e6 < sum(p.numel() for p in model.parameters()) < 1.1e6


def test_noise_is_small_at_first():
    moments = network().encode(pictures())
    torch.testing.assert_close(moments.std, torch.full_like(moments.std, 0.0498), atol=1e-4, rtol=0)
    assert moments.mean.std() > 0.2


def test_a_latent_depends_on_its_own_image_alone():
    model, images = network().double(), pictures().double()
    together, alone = model.encode(images), model.encode(images[1:2])
    torch.testing.assert_close(together.mean[1:2], alone.mean, rtol=0, atol=1e-12)


def test_pictures_stay_in_their_range():
    model = network()
    with torch.no_grad():
        model.decoder[-1].bias.fill_(5)
    assert model.decode(torch.zeros(1, 4, 4, 4)).max() == 1
    assert model.unclamped(torch.zeros(1, 4, 4, 4)).max() > 1  # which training sees


def test_what_is_saved_is_loaded(tmp_path):
    model, images = network(), pictures()
    save_autoencoder(tmp_path / "autoencoder.safetensors", model, {"note": 1})
    loaded = load_autoencoder(tmp_path)
    assert isinstance(loaded, KLAutoencoder) and not loaded.training
    for one, other in zip(
        model.encode(images).stacked(), loaded.encode(images).stacked(), strict=True
    ):
        assert torch.equal(one, other)


def test_a_description_of_another_size_is_refused(tmp_path):
    model = network()
    model.width = 16
    save_autoencoder(tmp_path / "a.safetensors", model)
    with pytest.raises(WeightsError, match=r"a\.safetensors does not describe an autoencoder"):
        load_autoencoder(tmp_path / "a.safetensors")
