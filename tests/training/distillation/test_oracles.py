"""What students are trained with, beside closed forms for Gaussian data and exact denoisers."""

import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.solvers.table import solve
from training.distillation.rollout import rollout
from training.objectives import (
    consistency_loss,
    distribution_matching_gradient,
    edm_weight,
    follow,
    lower_level,
    teacher_step,
)

DATA_MEAN, DATA_STD = 0.4, 0.5
LEVELS = (0.05, 0.5, 3.0, 40.0)
SHAPE = (1, 1, 1)


def gaussian(mean=DATA_MEAN, std=DATA_STD):
    return GaussianDenoiser(SHAPE, mean, std)


def normal(count, seed):
    return torch.randn(
        count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def full(value, count):
    return torch.full((count,), value, dtype=torch.float64)


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


def descend(with_critic: bool, steps=400, rate=0.1, count=4096):
    """mu and k of a student G = mu + k z after plain descent with an exact critic, or none."""
    mu, k = torch.tensor(-0.5, dtype=torch.float64), torch.tensor(1.2, dtype=torch.float64)
    z = normal(count, 9)
    z = (z - z.mean()) / z.std()
    mu.requires_grad_(), k.requires_grad_()
    for step, sigma in zip(range(steps), itertools.cycle((0.2, 0.5, 1.0, 2.0)), strict=False):
        images = mu + k * z
        clean = images.detach()
        noisy = clean + sigma * normal(count, 100 + step)
        critic = (
            gaussian(mu.item(), k.item()) if with_critic else (lambda x, s, c, same=clean: same)
        )
        direction = distribution_matching_gradient(
            clean, noisy, full(sigma, count), gaussian(), critic, normalise=False
        )
        loss = follow(images, direction).mean()
        of_mu, of_k = torch.autograd.grad(loss, (mu, k))
        with torch.no_grad():
            mu -= rate * 2 * of_mu
            k -= rate * 2 * of_k
            k.clamp_(min=1e-3)
    return mu.item(), k.item()


def test_with_its_critic_a_student_finds_the_data_and_without_it_collapses():
    mu, k = descend(with_critic=True)
    assert mu == pytest.approx(DATA_MEAN, abs=0.02) and k == pytest.approx(DATA_STD, abs=0.03)
    mu, k = descend(with_critic=False)
    assert mu == pytest.approx(DATA_MEAN, abs=0.02) and k < 0.05, "the mode alone"


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


def consistency_map(x, sigma):
    """Where the ODE of the Gaussian data ends: the exact student."""
    v = DATA_STD**2
    return DATA_MEAN + (v / (v + sigma.view(-1, 1, 1, 1) ** 2)).sqrt() * (x - DATA_MEAN)


def test_the_consistency_map_is_constant_along_the_ode():
    data = gaussian()
    x = normal(16, 13) * 80
    ends = [
        consistency_map(data.flow(x, 80.0, sigma), full(sigma, 16)) for sigma in (80.0, 5.0, 0.1)
    ]
    torch.testing.assert_close(ends[0], data.flow(x, 80.0, 0.0))
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0])


def test_the_exact_student_has_the_smallest_expected_consistency_distillation_error():
    """Along the teacher's own ODE its error vanishes with the step; a scaled map's does not."""
    data, level = gaussian(), full(2.0, 4096)
    images = DATA_MEAN + DATA_STD * normal(4096, 14)
    noise = normal(4096, 15)

    def error(step: float, scale: float, heun: bool) -> float:
        lower = level - step

        def student(x, sigma, labels=None):
            return scale * consistency_map(x, sigma)

        def target(noisy):
            return student(teacher_step(data, noisy, level, lower, None, heun), lower)

        loss, _ = consistency_loss(student, target, images, noise, level, lower, None, DATA_STD)
        return float(loss.mean())

    euler = [error(step, 1.0, heun=False) for step in (0.2, 0.1, 0.05)]
    assert euler[0] / euler[1] == pytest.approx(16, rel=0.3), "an Euler step errs by step^2"
    assert euler[1] / euler[2] == pytest.approx(16, rel=0.3)
    assert error(0.2, 1.0, heun=True) < 0.05 * euler[0]


def test_one_euler_step_is_the_mean_of_the_same_noise():
    """E[x_r | x_t] = D + (r / t)(x_t - D): consistency training's pairs, seen on average."""
    data, t, r, count = gaussian(), 1.5, 0.9, 400_000
    images, noise = DATA_MEAN + DATA_STD * normal(count, 16), normal(count, 17)
    noisy = images + t * noise
    state = images + r * noise
    step = teacher_step(data, noisy, full(t, count), full(r, count), None, heun=False)
    difference = state - step
    for weight in (torch.ones_like(noisy), noisy, noisy**2):
        mean, spread = (difference * weight).mean(), (difference * weight).std() / count**0.5
        assert abs(float(mean)) < 5 * float(spread)


def test_lower_levels_grow_with_the_stage_and_stay_below():
    t = torch.logspace(-3, 2, 50, dtype=torch.float64)
    stages = [lower_level(t, 4.0, stage) for stage in range(8)]
    for before, after in itertools.pairwise(stages):
        assert (after >= before).all() and (after < t).all() and (before >= 0).all()
    one = t * (1 - (1 + 8 / (1 + t.exp())) / 4**3)
    torch.testing.assert_close(stages[2], one.clamp_min(0))
    assert torch.equal(lower_level(t, 1.0, 3), torch.zeros_like(t)), "ratio 1: always data"


def test_at_level_zero_it_is_the_denoising_loss_and_nothing_is_nan():
    data = gaussian()
    images, noise = DATA_MEAN + DATA_STD * normal(32, 18), normal(32, 19)
    level = torch.logspace(-2, 1.5, 32, dtype=torch.float64)
    none = torch.zeros_like(level)

    def target(noisy):
        return torch.full_like(noisy, math.nan)  # what a network makes of ln 0

    def student(x, sigma, labels):
        return 0.9 * data(x, sigma)

    loss, plain = consistency_loss(student, target, images, noise, level, none, None, DATA_STD)
    noisy = images + level.view(-1, 1, 1, 1) * noise
    error = (student(noisy, level, None) - images).square().mean((1, 2, 3))
    torch.testing.assert_close(loss, edm_weight(level, DATA_STD) * error)
    torch.testing.assert_close(plain, loss)


def test_pseudo_huber_is_quadratic_below_and_linear_above():
    data, count = gaussian(), 16
    images, noise = normal(count, 20), normal(count, 21)
    level, none = full(1.0, count), full(0.0, count)
    args = (lambda noisy: noisy), images, noise, level, none, None, DATA_STD

    def off_by(error):
        return lambda x, sigma, labels: images + error

    weight = float(edm_weight(level[:1], DATA_STD))
    small, _ = consistency_loss(off_by(1e-4), *args, huber=0.06)
    large, _ = consistency_loss(off_by(60.0), *args, huber=0.06)
    assert float(small.mean()) == pytest.approx(weight * 1e-8 / (2 * 0.06), rel=1e-3)
    assert float(large.mean()) == pytest.approx(weight * 60, rel=2e-3)
    assert data.num_classes == 0


@pytest.mark.parametrize("levels", [(80.0,), (80.0, 2.0), (80.0, 5.0, 0.8, 0.1)])
def test_backward_simulation_is_the_samplers_own_path(levels):
    noises = [normal(8, 30 + step) for step in range(len(levels))]
    sampler = SamplerConfig(solver="consistency", grid="explicit", sigmas=levels)
    given = iter(noises[1:])

    def denoise(x, sigma):
        return consistency_map(x, sigma)

    import sampling.solvers.consistency as module

    x = levels[0] * noises[0]
    sampled = module.Consistency().run(
        denoise, x, sampler.time_grid().tolist(), lambda like: next(given), lambda *a: None
    )
    found = rollout(
        lambda x, sigma, labels: consistency_map(x, sigma),
        levels,
        len(levels) - 1,
        lambda step: noises[step],
        None,
    )
    torch.testing.assert_close(found, sampled)
    if len(levels) == 1:
        whole = solve("consistency", denoise, noises[0], sampler.time_grid())
        torch.testing.assert_close(found, whole)


def test_variance_of_multistep_sampling_with_the_exact_student():
    """V_{k+1} - v = (V_k - v) v / (v + tau^2), from V_1 = v S^2 / (v + S^2)."""
    levels, v = (80.0, 1.0, 0.3), DATA_STD**2
    count = 400_000
    images = rollout(
        lambda x, sigma, labels: consistency_map(x, sigma),
        levels,
        2,
        lambda step: normal(count, 40 + step),
        None,
    )
    variance = v * 80.0**2 / (v + 80.0**2)
    for tau in levels[1:]:
        variance = v + (variance - v) * v / (v + tau**2)
    assert float(images.var()) == pytest.approx(variance, rel=0.01)


def test_only_the_last_evaluation_has_a_gradient():
    scale = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    calls = []

    def student(x, sigma, labels):
        calls.append(torch.is_grad_enabled())
        return scale * consistency_map(x, sigma)

    rollout(student, (80.0, 2.0, 0.5), 2, lambda step: normal(4, step), None).sum().backward()
    assert calls == [False, False, True] and scale.grad is not None
