"""Principal components against an independent computation, and what orthonormality promises."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from models.analytic import GaussianDenoiser
from models.autoencoders.pca import PCAAutoencoder


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(load_digits().images / 8 - 1).float()[:, None]  # [N, 1, 8, 8]


def fitted(images: torch.Tensor, components: int, factor: int) -> PCAAutoencoder:
    network = PCAAutoencoder(images.shape[1], components, factor)
    network.fit(images.split(700))
    return network


def test_all_components_lose_nothing(images):
    network = fitted(images, 4, 2)
    moments = network.encode(images)
    assert (network.decode(moments.mean) - images).abs().max() < 1e-6
    assert moments.mean.shape == moments.std.shape == (len(images), 4, 4, 4)
    assert not moments.std.any()
    fewer = fitted(images, 2, 2)
    assert (fewer.decode(fewer.encode(images).mean) - images).abs().max() > 0.1


def test_components_are_those_of_scikit_learn_up_to_sign(images):
    colour = torch.cat([images, -images.flip(2), images.roll(3, 3)], 1)  # [N, 3, 8, 8]
    network = fitted(colour, 5, 2)
    rows = colour.reshape(-1, 3, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, 12)
    expected = PCA(5).fit(rows.double().numpy())
    own = network.components.reshape(5, 12).numpy()
    signs = np.sign((own * expected.components_).sum(1, keepdims=True))
    np.testing.assert_allclose(own * signs, expected.components_, atol=2e-5)
    np.testing.assert_allclose(network.patch_mean.flatten(), expected.mean_, atol=1e-5)


def test_the_latent_of_a_mirror_image_is_not_the_mirrored_latent(images):
    network = fitted(images, 4, 2)
    mirrored, plain = network.encode(images.flip(3)).mean, network.encode(images).mean
    assert (mirrored - plain.flip(3)).abs().max() > 0.1


def test_denoising_commutes_with_the_encoder_for_gaussian_data():
    """D_latent(U x) = U D(x): noise keeps its variance under an orthonormal map."""
    generator = torch.Generator().manual_seed(0)
    some = torch.randn(500, 1, 4, 4, generator=generator) @ torch.randn(4, 4, generator=generator)
    network = fitted(some, 16, 4).double()
    basis = network.components.flatten(1)  # [16, 16]
    root = torch.randn(16, 16, generator=generator, dtype=torch.float64)
    covariance = root @ root.T + 0.1 * torch.eye(16)
    mean = torch.randn(1, 4, 4, generator=generator, dtype=torch.float64)
    pixels = GaussianDenoiser((1, 4, 4), mean, covariance=covariance)
    latents = GaussianDenoiser(
        (16, 1, 1), network.encode(mean[None]).mean[0], covariance=basis @ covariance @ basis.T
    )
    x = 3 * torch.randn(7, 1, 4, 4, generator=generator, dtype=torch.float64)
    sigma = torch.linspace(0.1, 5, 7, dtype=torch.float64)
    expected = network.encode(pixels(x, sigma)).mean
    found = latents(network.encode(x).mean, sigma)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    scaled = latents(2 * network.encode(x).mean, sigma)  # a map that is not orthonormal
    assert (scaled / 2 - expected).abs().max() > 0.1
