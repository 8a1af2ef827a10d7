"""Distribution matching beside closed forms for Gaussian data and quadrature for mixtures."""

import itertools
import math

import pytest
import torch
from gaussian_data import DATA_MEAN, DATA_STD, LEVELS, full, gaussian, normal
from scipy.integrate import quad
from scipy.stats import norm

from models.analytic import GaussianMixtureDenoiser
from training.objectives import (
    distribution_matching_gradient,
    follow,
)


@pytest.mark.parametrize("sigma", LEVELS)
def test_expected_gradient_of_an_affine_student(sigma):
    """G = mu + k z with its exact critic: E[C - T] and E[(C - T) z] in closed form."""
    mu, k, count = -0.3, 0.8, 400_000
    z = normal(count, 1)
    z = torch.cat([z, -z])  # E[z] = 0 exactly
    z = z / z.square().mean().sqrt()
    images = mu + k * z
    noisy = images + sigma * torch.cat([normal(count, 2), -normal(count, 2)]).roll(7, 0)
    found = distribution_matching_gradient(
        images, noisy, full(sigma, 2 * count), gaussian(), gaussian(mu, k), normalise=False
    )
    v, s2 = DATA_STD**2, sigma**2
    expected = (mu - DATA_MEAN) * s2 / (v + s2)
    moment = k * s2 * (k**2 - v) / ((k**2 + s2) * (v + s2))
    spread = 5 * float(found.std()) / math.sqrt(count)
    assert float(found.mean()) == pytest.approx(expected, abs=spread)
    assert float((found * z).mean()) == pytest.approx(moment, abs=spread)
    assert abs(expected) > 3 * spread or abs(moment) > 3 * spread, "a wrong sign would be seen"


@pytest.mark.parametrize("sigma", LEVELS)
def test_it_is_sigma_squared_times_the_difference_of_scores(sigma):
    teacher, critic = gaussian(), gaussian(-0.2, 0.9)
    noisy, levels = normal(64, 3) * sigma, full(sigma, 64)
    found = distribution_matching_gradient(noisy, noisy, levels, teacher, critic, normalise=False)
    scores = critic.score(noisy, levels) - teacher.score(noisy, levels)
    torch.testing.assert_close(found, sigma**2 * scores)


def test_a_critic_that_is_the_teacher_gives_bitwise_zero():
    teacher = gaussian()
    noisy = normal(64, 4)
    for normalise in (True, False):
        found = distribution_matching_gradient(
            noisy, noisy, full(1.0, 64), teacher, teacher, normalise=normalise
        )
        assert torch.equal(found, torch.zeros_like(found))


def test_each_image_is_normalised_by_its_own_distance():
    teacher, critic = gaussian(), gaussian(1.0, 2.0)
    images = normal(8, 5) * torch.logspace(-1, 1, 8, dtype=torch.float64).view(-1, 1, 1, 1)
    noisy = images + normal(8, 6)
    args = images, noisy, full(1.0, 8), teacher, critic
    scale = (images - teacher(noisy, full(1.0, 8))).abs().mean((1, 2, 3), keepdim=True)
    plain = distribution_matching_gradient(*args, normalise=False)
    torch.testing.assert_close(distribution_matching_gradient(*args), plain / scale)


def test_the_students_loss_has_that_gradient():
    images = normal(4, 7).requires_grad_()
    direction = normal(4, 8)
    follow(images, direction).sum().backward()
    torch.testing.assert_close(images.grad, direction)  # one pixel an image


def descend(critic="its own", teacher=None, sign=1.0, steps=400, rate=0.1, count=4096):
    """mu and k of a student G = mu + k z after plain descent.

    critic: "its own" (exact at every step), "of the start" (exact at the first one) or "none".
    """
    mu, k = torch.tensor(-0.5, dtype=torch.float64), torch.tensor(1.2, dtype=torch.float64)
    z = normal(count, 9)
    z = (z - z.mean()) / z.std()
    start = gaussian(mu.item(), k.item())
    mu.requires_grad_(), k.requires_grad_()
    for step, sigma in zip(range(steps), itertools.cycle((0.2, 0.5, 1.0, 2.0)), strict=False):
        images = mu + k * z
        clean = images.detach()
        noisy = clean + sigma * normal(count, 100 + step)
        of = {
            "its own": gaussian(mu.item(), k.item()),
            "of the start": start,
            "none": lambda x, s, c, same=clean: same,
        }
        direction = sign * distribution_matching_gradient(
            clean, noisy, full(sigma, count), teacher or gaussian(), of[critic], normalise=False
        )
        loss = follow(images, direction).mean()
        of_mu, of_k = torch.autograd.grad(loss, (mu, k))
        with torch.no_grad():
            mu -= rate * 2 * of_mu
            k -= rate * 2 * of_k
            k.clamp_(min=1e-3)
    return mu.item(), k.item()


def is_the_data(mu, k):
    return abs(mu - DATA_MEAN) < 0.02 and abs(k - DATA_STD) < 0.03


def test_with_its_critic_a_student_finds_the_data_and_without_it_collapses():
    assert is_the_data(*descend())
    mu, k = descend("none")
    assert mu == pytest.approx(DATA_MEAN, abs=0.02) and k < 0.05, "the mode alone"


def guided(times):
    """The teacher with guidance of weight 1, which is the teacher, applied so many times over."""
    data, unlabelled = gaussian(), gaussian(0.0, 1.0)

    def denoise(x, sigma, labels=None):
        base = unlabelled(x, sigma)
        return base + times * (data(x, sigma) - base)

    return denoise


def test_sabotaged_students_do_not_find_the_data():
    assert is_the_data(*descend(teacher=guided(1), steps=100))
    for sabotage in ({"sign": -1.0}, {"critic": "of the start"}, {"teacher": guided(2)}):
        assert not is_the_data(*descend(**sabotage, steps=100)), sabotage


def test_mixture_gradient_beside_quadrature():
    """The mean gradient of a one-mode student on two-mode data: Monte Carlo and quadrature."""
    means = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1)
    teacher = GaussianMixtureDenoiser(means, 0.2)
    mu, k, sigma, count = 0.7, 0.3, 0.6, 200_000
    images = mu + k * normal(count, 11)
    noisy = images + sigma * normal(count, 12)
    critic = gaussian(mu, k)
    found = distribution_matching_gradient(
        images, noisy, full(sigma, count), teacher, critic, normalise=False
    )

    def at(y: float) -> float:
        one = torch.tensor([[[[y]]]], dtype=torch.float64)
        return float(critic(one, full(sigma, 1)) - teacher(one, full(sigma, 1)))

    wide = math.hypot(k, sigma)
    expected, _ = quad(lambda y: at(y) * norm.pdf(y, mu, wide), mu - 8 * wide, mu + 8 * wide)
    assert float(found.mean()) == pytest.approx(expected, abs=5 * float(found.std()) / count**0.5)
    assert abs(expected) > 0.05
