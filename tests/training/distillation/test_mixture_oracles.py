"""Students of two modes: what matching finds from one of them, and what regression adds."""

import itertools

import pytest
import torch
from gaussian_data import SHAPE, full, normal

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.solvers.table import solve
from training.objectives import distribution_matching_gradient, follow

COUNT, WIDTH = 64, 0.05
"""Points of the student, and the deviation of its images round each."""
MODES, STD = (-1.0, 1.0), 0.2


def two_modes():
    return GaussianMixtureDenoiser(torch.tensor(MODES).view(2, *SHAPE), STD)


def teachers_images(z):
    """What the teacher's sampler makes of the noise."""
    config = SamplerConfig(solver="heun", grid="karras", steps=30)
    teacher = two_modes()
    return solve(config.solver, lambda x, sigma: teacher(x, sigma), z, config.time_grid())


def trained(matching=1.0, regression=0.0, critic="its own", steps=120, rate=1.0):
    """The points x_i [N] of a student that gives x_i for noise z_i, begun near the right mode.

    Its images x_i + WIDTH * n are a mixture, so that the critic is exact.
    critic: "its own", "of the start" (frozen), or "none" (the teacher's score alone).
    """
    z = torch.special.ndtri((torch.arange(COUNT).double() + 0.5) / COUNT).view(COUNT, *SHAPE)
    points = (1 + 0.1 * z).requires_grad_()
    wanted, teacher = teachers_images(z), two_modes()
    start = GaussianMixtureDenoiser(points.detach().clone(), WIDTH)
    for step, sigma in zip(range(steps), itertools.cycle((0.1, 0.2, 0.3)), strict=False):
        images = points + WIDTH * normal(COUNT, 200 + step)
        clean, level = images.detach(), full(sigma, COUNT)
        noisy = clean + sigma * normal(COUNT, 700 + step)
        of = {
            "its own": GaussianMixtureDenoiser(points.detach(), WIDTH),
            "of the start": start,
            "none": lambda x, s, c, same=clean: same,
        }
        direction = distribution_matching_gradient(
            clean, noisy, level, teacher, of[critic], normalise=False
        )
        loss = matching * follow(images, direction)
        loss = loss + regression * (points - wanted).square().mean((1, 2, 3))
        (gradient,) = torch.autograd.grad(loss.sum(), points)
        with torch.no_grad():
            points -= rate * (1 - step / steps) * gradient
    return points.detach().view(-1)


def shares_and_spread(points):
    """Share of the points at the left mode, and their deviation round the nearer mode."""
    nearer = torch.where(points > 0, MODES[1], MODES[0])
    return float((points < 0).double().mean()), float((points - nearer).square().mean().sqrt())


def is_the_nearer_mode(points):
    left, spread = shares_and_spread(points)
    return left < 0.1 and spread == pytest.approx(STD, rel=0.15)


def is_the_data(points):
    left, spread = shares_and_spread(points)
    return abs(left - 0.5) < 0.02 and spread == pytest.approx(STD, rel=0.15)


def test_from_one_mode_matching_misses_the_other_and_with_regression_does_not():
    """DMD, arXiv 2311.18828, figure 3."""
    assert is_the_nearer_mode(trained())
    assert is_the_data(trained(regression=0.25))
    assert shares_and_spread(trained(critic="none"))[1] < 0.5 * STD, "it collapses"
    assert not is_the_nearer_mode(trained(critic="of the start"))
    assert not is_the_nearer_mode(trained(matching=-1.0))
