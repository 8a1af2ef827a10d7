"""The shown states are those that the solver visits, and the predictions are those of D there."""

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.generate import generate
from sampling.guidance.classifier_free import ClassifierFreeConfig
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.trajectory import trajectory

SHAPE = (1, 2, 2)


def denoiser():
    means = torch.tensor([-0.7, 0.7]).view(2, 1, 1, 1).expand(2, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.1, None, [0, 1])


def asked(sampler):
    return GenerationRequest(
        sampler=sampler, seed=3, indices=[5, 2], labels=np.array([0, 1]), batch_size=2
    )


@pytest.mark.parametrize(
    "sampler",
    [
        SamplerConfig(steps=6),
        SamplerConfig(solver="unipc", steps=6, solver_options={"order": 3}),
        SamplerConfig(solver="ddim", steps=6, solver_options={"eta": 1.0}),
    ],
)
def test_states_begin_at_the_noise_and_end_at_the_images(sampler):
    way = trajectory(denoiser(), asked(sampler), 100)
    assert way.sigmas == sampler.time_grid().tolist() and way.states.shape == (7, 2, *SHAPE)
    noise = image_noise(image_generators(3, [5, 2]), SHAPE)
    torch.testing.assert_close(way.states[0], noise * 80.0)
    images = generate(denoiser(), sampler, 3, [5, 2], np.array([0, 1]))
    assert torch.equal(way.states[-1], images)
    for sigma, x, expected in zip(way.sigmas[:-1], way.states, way.denoised, strict=False):
        exact = denoiser()(x, torch.full((2,), sigma), torch.tensor([0, 1]))
        torch.testing.assert_close(expected, exact)


def test_scaled_states_have_the_spread_of_data():
    request = GenerationRequest(
        sampler=SamplerConfig(steps=30), seed=0, indices=range(2000), labels=np.full(2000, -1)
    )
    way = trajectory(GaussianDenoiser(SHAPE, std=0.5), request, 8)
    spread = way.scaled_states().flatten(1).std(1)
    torch.testing.assert_close(spread, torch.full((8,), 0.5), rtol=0.03, atol=0)


def test_few_columns_are_spread_over_the_steps():
    way = trajectory(denoiser(), asked(SamplerConfig(steps=18)), 10)
    assert way.sigmas == SamplerConfig(steps=18).time_grid()[::2].tolist()


def test_predictions_are_guided_as_the_images_are():
    guided = SamplerConfig(steps=4, guidance=(ClassifierFreeConfig(weight=2.0),))
    way = trajectory(denoiser(), asked(guided), 5)
    x, sigma = way.states[2], torch.full((2,), way.sigmas[2])
    free, bound = denoiser()(x, sigma), denoiser()(x, sigma, torch.tensor([0, 1]))
    assert not torch.allclose(free, bound, atol=1e-3)
    torch.testing.assert_close(way.denoised[2], free + 2 * (bound - free))


def test_images_at_levels_of_their_own_are_refused():
    with pytest.raises(ValueError, match="at the same levels, and solver adaptive_heun"):
        trajectory(denoiser(), asked(SamplerConfig(solver="adaptive_heun")), 5)
