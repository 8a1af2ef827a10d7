"""The adversarial term beside its best logit, log p_real - log p_fake, in closed form."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gaussian_data import DATA_MEAN, DATA_STD, full, gaussian, normal
from scipy.optimize import minimize
from torch import Tensor

from models.analytic import GaussianDenoiser
from training.distillation.channel_mean import critic_loss, judge, student_term
from training.objectives import distribution_matching_gradient

MEAN, STD = -0.3, 0.8
"""Of the images of the student mean + std * z."""
SIGMAS = (0.2, 1.0, 5.0)


def nodes(count=80):
    """Points z and weights of the expectation over a unit normal number (Gauss and Hermite)."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())


class BestCritic:
    """A critic whose bottleneck is log p_real(y; sigma) - log p_fake(y; sigma), at one position."""

    def __init__(self, real, fake, sign=1.0):
        self.real, self.fake, self.sign = real, fake, sign

    def encode(self, y, sigma, labels=None):
        logit = self.real.log_prob(y, sigma) - self.fake.log_prob(y, sigma)
        return SimpleNamespace(bottleneck=self.sign * logit.view(-1, 1, 1, 1))

    def decode(self, hidden):
        raise AssertionError("the logits alone are asked for")


def learned(loss, sigma) -> np.ndarray:
    """The logit a + b y + c y^2 of least expected loss; real and fake y are Gaussian, noised."""
    z, weights = nodes()
    real = DATA_MEAN + math.hypot(DATA_STD, sigma) * z
    fake = MEAN + math.hypot(STD, sigma) * z

    def expected(found: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, c = terms = torch.tensor(found, requires_grad=True)
        logits = [(a + b * y + c * y.square()).view(-1, 1, 1) for y in (real, fake)]
        value = (weights * loss(*logits)).sum()
        (slope,) = torch.autograd.grad(value, terms)
        return value.item(), slope.numpy()

    return minimize(expected, np.zeros(3), jac=True, tol=1e-12).x


def log_ratio(sigma) -> np.ndarray:
    """(a, b, c) of log p_real - log p_fake, by `log_prob` at three points."""
    y = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64).view(3, 1, 1, 1)
    level = full(sigma, 3)
    low, a, high = (gaussian().log_prob(y, level) - gaussian(MEAN, STD).log_prob(y, level)).tolist()
    return np.array([a, (high - low) / 2, (high + low) / 2 - a])


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_logit_of_least_loss_is_the_log_ratio(sigma):
    best = log_ratio(sigma)
    np.testing.assert_allclose(learned(critic_loss, sigma), best, rtol=1e-3, atol=1e-5)
    swapped = learned(lambda real, fake: critic_loss(fake, real), sigma)
    np.testing.assert_allclose(swapped, -best, rtol=1e-3, atol=1e-5)
    assert np.abs(best).max() > 0.01, "a wrong sign would be seen"


def divergence(mean: float, std: float, sigma: float) -> float:
    """KL(fake || real) - 2 JSD(fake, real) of noisy images, by the trapezoidal rule."""
    y = torch.linspace(-60, 60, 40001, dtype=torch.float64).view(-1, 1, 1, 1)
    level = full(sigma, len(y))
    log_real, log_fake = gaussian().log_prob(y, level), gaussian(mean, std).log_prob(y, level)
    log_middle = torch.logaddexp(log_real, log_fake) - math.log(2)
    real, fake = log_real.exp(), log_fake.exp()
    twice_jsd = fake * (log_fake - log_middle) + real * (log_real - log_middle)
    return float(torch.trapezoid(fake * (log_fake - log_real) - twice_jsd, dx=120 / 40000))


def descent(critic: BestCritic, sigma: float) -> tuple[float, float]:
    """Gradient of the student's expected term by (mean, std) of G = mean + std * z."""
    points, shares = nodes(60)
    z, noise = (grid.reshape(-1, 1, 1, 1) for grid in torch.meshgrid(points, points, indexing="ij"))
    weights = torch.outer(shares, shares).reshape(-1, 1, 1, 1)
    noisy = (MEAN + STD * z + sigma * noise).requires_grad_()
    logits, _ = judge(critic, noisy, full(sigma, len(noisy)), None)
    _, direction = student_term(logits, noisy)  # one pixel an image
    return float((weights * direction).sum()), float((weights * direction * z).sum())


@pytest.mark.parametrize("sigma", SIGMAS)
def test_with_the_best_logit_the_student_descends_a_divergence(sigma):
    """The non-saturating loss has the gradient of KL - 2 JSD (arXiv 1701.04862, theorem 2.5)."""
    step = 1e-4
    wanted = [
        (divergence(MEAN + step, STD, sigma) - divergence(MEAN - step, STD, sigma)) / (2 * step),
        (divergence(MEAN, STD + step, sigma) - divergence(MEAN, STD - step, sigma)) / (2 * step),
    ]
    real, fake = gaussian(), gaussian(MEAN, STD)

    def agrees(critic: BestCritic) -> bool:
        return np.allclose(descent(critic, sigma), wanted, rtol=1e-3, atol=1e-6)

    assert agrees(BestCritic(real, fake))
    assert not agrees(BestCritic(real, fake, sign=-1.0)), "real and fake exchanged"
    assert not agrees(BestCritic(real, gaussian(0.0, 1.0))), "a frozen critic, of an older student"


def test_its_direction_is_that_of_matching_times_how_sure_the_critic_is():
    """d softplus(-h) / dy = sigmoid(-h) (C - T) / sigma^2 with the exact C and T; four pixels."""
    shape, sigma, count = (1, 2, 2), 0.7, 16
    teacher, critic = GaussianDenoiser(shape, 0.4, 0.5), GaussianDenoiser(shape, -0.3, 0.8)
    noisy = normal(count * 4, 50).view(count, *shape).requires_grad_()
    level = full(sigma, count)
    logits, _ = judge(BestCritic(teacher, critic), noisy, level, None)
    loss, direction = student_term(logits, noisy)
    matching: Tensor = distribution_matching_gradient(
        noisy, noisy, level, teacher, critic, normalise=False
    )
    unsure = torch.sigmoid(-logits).view(-1, 1, 1, 1)
    torch.testing.assert_close(direction, 4 * unsure * matching / sigma**2)
    torch.testing.assert_close(loss, torch.log1p((-logits).exp()).view(-1))
