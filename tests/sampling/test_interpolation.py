"""Between two images the noise goes along a great circle; the ends are the images themselves."""

import math

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.generate import generate
from sampling.interpolation import great_circle, interpolate
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import adds_noise, make_solver


def asked(sampler=None, labels=(-1,), batch_size=256):
    labels = np.asarray(labels)
    sampler = sampler or SamplerConfig(steps=5)
    return GenerationRequest(
        sampler=sampler, seed=3, indices=range(len(labels)), labels=labels, batch_size=batch_size
    )


def test_a_great_circle_has_equal_angles_and_keeps_the_norm():
    first, last = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 2.0])
    way = great_circle(first, last, 4)
    assert torch.equal(way[0], first) and torch.equal(way[-1], last)
    torch.testing.assert_close(way.norm(dim=1), torch.full((4,), 2.0))
    angles = torch.atan2(way[:, 2], way[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 4))
    same = great_circle(first, first, 3)
    assert torch.equal(same, first.expand(3, 3))


def test_noise_between_is_as_large_as_noise():
    first, last = image_noise(image_generators(0, [0, 1]), (3, 32, 32))
    middle = great_circle(first, last, 3)[1]
    assert float(middle.std()) == pytest.approx(1, abs=0.05)
    assert float(((first + last) / 2).std()) < 0.75  # a straight line would leave the shell


def test_the_ends_are_the_images_of_a_generation_for_each_label():
    means = torch.tensor([-0.7, 0.7]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    denoiser = GaussianMixtureDenoiser(means, 0.1, None, [0, 1])
    rows = list(interpolate(denoiser, asked(labels=[1, 0]), (7, 4), 5))
    assert [row.shape for row in rows] == [(5, 1, 2, 2)] * 2
    for row, label in zip(rows, (1, 0), strict=True):
        ends = generate(denoiser, SamplerConfig(steps=5), 3, [7, 4], np.full(2, label))
        torch.testing.assert_close(row[[0, -1]], ends)
    again = list(interpolate(denoiser, asked(labels=[1, 0], batch_size=2), (7, 4), 5))
    torch.testing.assert_close(torch.stack(rows), torch.stack(again))


def test_images_of_gaussian_data_lie_on_the_circle_too():
    """With D linear the solver is linear: the image of the middle noise is known."""
    denoiser = GaussianDenoiser((1, 4, 4), std=0.5)
    (row,) = interpolate(denoiser, asked(), (0, 1), 3)
    cosine = torch.nn.functional.cosine_similarity
    noise = great_circle(*image_noise(image_generators(3, [0, 1]), (1, 4, 4)), 3)
    alike = cosine(row.flatten(1), noise.flatten(1), dim=1)
    torch.testing.assert_close(alike, torch.ones(3))


@pytest.mark.parametrize(
    ("solver", "options", "fresh"),
    [
        ("heun", {}, False),
        ("heun", {"churn": 5.0}, True),
        ("ddim", {}, False),
        ("ddim", {"eta": 0.5}, True),
        ("dpmpp_2m", {}, False),
        ("unipc", {}, False),
        ("consistency", {}, True),
    ],
)
def test_samplers_that_add_noise_are_refused(solver, options, fresh):
    sampler = SamplerConfig(solver=solver, solver_options=options, steps=4)
    assert adds_noise(make_solver(solver, **options), sampler.time_grid()) is fresh
    denoiser = GaussianDenoiser((1, 2, 2), std=0.5)
    if fresh:
        with pytest.raises(ValueError, match=f"solver {solver} adds fresh noise"):
            interpolate(denoiser, asked(sampler), (0, 1), 3)
    else:
        assert len(list(interpolate(denoiser, asked(sampler), (0, 1), 3))) == 1
    with pytest.raises(ValueError, match="1 frames: an interpolation has 2 or more"):
        interpolate(denoiser, asked(sampler), (0, 1), 1)
