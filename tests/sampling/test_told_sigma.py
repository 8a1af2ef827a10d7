"""A network that is told another noise level, against one trained with input perturbation."""

import math

import pytest
import torch
from torch import nn

from models.analytic import GaussianDenoiser
from sampling.config import SamplerConfig
from sampling.generate import generate

GAMMA = 0.3
FACTOR = math.sqrt(1 + GAMMA**2)


class Perturbed(nn.Module):
    """The best denoiser, told sigma, of Gaussian data with noise sigma sqrt(1 + GAMMA^2)."""

    image_shape, num_classes, sigma_data = (1, 4, 4), 0, 0.5

    def forward(self, x, sigma, labels=None):
        variance = (sigma * FACTOR).square()
        return x * (0.25 / (0.25 + variance))[:, None, None, None]


def draw(denoiser, told=1.0, **changes):
    sampler = SamplerConfig(solver="heun", steps=12, told_sigma=told, **changes)
    return generate(denoiser, sampler, 3, range(64))


def test_it_draws_what_a_network_of_input_perturbation_draws():
    plain = GaussianDenoiser((1, 4, 4), std=0.5)
    torch.testing.assert_close(draw(plain, FACTOR), draw(Perturbed()), rtol=1e-5, atol=1e-6)
    assert (draw(plain, FACTOR) - draw(plain)).abs().max() > 1e-3


def test_a_higher_level_draws_narrower_images_and_one_is_left_alone():
    """It takes more of the image for noise than there is."""
    plain = GaussianDenoiser((1, 4, 4), std=0.5)
    assert draw(plain, 1.1).std() < draw(plain).std() < draw(plain, 0.9).std()
    assert "told_sigma" not in SamplerConfig().model_dump()


def test_what_cannot_go_together_is_told():
    hidden = {"kind": "distribution", "attribute": "class", "target": {"a": 0.5, "b": 0.5}}
    with pytest.raises(ValueError, match="told_sigma: 1"):
        SamplerConfig(told_sigma=1.005, guidance=({**hidden, "group": 4},))
    with pytest.raises(ValueError, match="told_sigma"):
        SamplerConfig(told_sigma=0.0)
