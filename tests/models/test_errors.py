"""Denoising errors: by hand, and against the log-likelihood ratios of a mixture."""

import math

import numpy as np
import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from models.attribute_loss import likelihood_weight
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.errors import denoising_errors

MEANS = torch.tensor([[-0.8, 0.3], [0.9, -0.2], [0.1, 0.7]], dtype=torch.float64)
STD = torch.tensor([[0.5, 0.3], [0.4, 0.6], [0.3, 0.3]], dtype=torch.float64)
MIXTURE = GaussianMixtureDenoiser(
    MEANS.view(3, 2, 1, 1), STD.view(3, 2, 1, 1), [0.5, 0.3, 0.2], [0, 1, 1]
)
LEVELS = torch.from_numpy(np.exp(np.linspace(math.log(0.01), math.log(300), 240)))


def expected_errors(point, label):
    """E[error] at each level, float64 [S], by Gauss-Hermite quadrature over the noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    grid = torch.from_numpy(np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2, 1, 1))
    mass = torch.from_numpy(np.outer(weights, weights).ravel() / weights.sum() ** 2)
    images = point.view(1, 2, 1, 1).expand(len(grid), 2, 1, 1)
    labels = torch.full((len(grid),), label)
    noise = grid.expand(len(LEVELS), *grid.shape)
    return mass @ denoising_errors(MIXTURE, images, labels, LEVELS, noise)


@pytest.mark.parametrize("point", [[-0.6, 0.2], [0.4, 0.1], [0.2, 1.0]])
def test_weighted_errors_are_log_likelihood_ratios(point):
    """log p(x | 0) - log p(x | 1) = sum w (e_1 - e_0), to .01 nats."""
    point = torch.tensor(point, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    own, other = (
        float(MIXTURE.log_prob(point.view(1, 2, 1, 1), zero, torch.tensor([label])))
        for label in (0, 1)
    )
    gaps = expected_errors(point, 1) - expected_errors(point, 0)
    weights = likelihood_weight(LEVELS)
    assert abs(float(weights @ gaps) - (own - other)) < 0.01
    shuffled = weights[torch.randperm(len(weights), generator=torch.Generator().manual_seed(0))]
    assert abs(float(shuffled @ gaps) - (own - other)) > 0.1
    assert abs(float(weights @ gaps) + (own - other)) > 0.01 or abs(own - other) < 0.01


def test_errors_are_sums_over_pixels_of_the_image_and_level_they_stand_for():
    seen = []

    def half(x, sigma, labels):
        seen.append((len(x), labels))
        return x / 2 + sigma[:, None, None, None]

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 2, 3, 3, generator=generator)
    noise = torch.randn(4, 5, 2, 3, 3, generator=generator)
    sigmas = torch.tensor([0.1, 2.0, 0.5, 1.0])
    found = denoising_errors(half, images, None, sigmas, noise, at_once=18 * 3)
    for n in range(5):
        for s in range(4):
            answer = (images[n] + sigmas[s] * noise[s, n]) / 2 + sigmas[s]
            assert found[n, s] == pytest.approx(
                float((answer - images[n]).square().sum()), rel=1e-5
            )
    assert [count for count, _ in seen] == [3] * 6 + [2] and seen[0][1] is None
    whole = denoising_errors(half, images, None, sigmas, noise)
    assert torch.allclose(found, whole)
    assert not torch.allclose(found, denoising_errors(half, images, None, sigmas.flip(0), noise))


def test_labels_go_with_their_images_and_a_network_gets_no_gradient():
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 2, config).eval()
    torch.nn.init.constant_(denoiser.unet.output_gain, 1.0)
    images, noise = torch.randn(3, 1, 8, 8), torch.randn(2, 3, 1, 8, 8)
    sigmas, labels = torch.tensor([0.3, 1.0]), torch.tensor([0, 1, -1])
    found = denoising_errors(denoiser, images, labels, sigmas, noise, at_once=64)
    assert found.shape == (3, 2) and not found.requires_grad
    for n in range(3):
        noisy = images[n : n + 1] + noise[1, n : n + 1]
        with torch.no_grad():
            answer = denoiser(noisy, sigmas[1:], labels[n : n + 1])
        assert found[n, 1] == pytest.approx(float((answer - images[n]).square().sum()), rel=1e-4)


def test_noise_of_another_shape_is_refused_and_no_image_is_no_error():
    with pytest.raises(ValueError, match=r"noise is \[2, 3, 1, 8, 8\].* take \[4, 3, 1, 8, 8\]"):
        denoising_errors(
            MIXTURE, torch.zeros(3, 1, 8, 8), None, torch.ones(4), torch.zeros(2, 3, 1, 8, 8)
        )
    none = denoising_errors(
        MIXTURE, torch.zeros(0, 2, 1, 1), None, torch.ones(4), torch.zeros(4, 0, 2, 1, 1)
    )
    assert none.shape == (0, 4)
