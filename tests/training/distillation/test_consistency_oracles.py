"""Consistency and few-step sampling beside closed forms for Gaussian data."""

import itertools
import math

import pytest
import torch
from gaussian_data import DATA_MEAN, DATA_STD, full, gaussian, normal
from small_runs import SMALL

from models.denoiser import Denoiser
from sampling.config import SamplerConfig
from sampling.grids import time_grid
from sampling.solvers.table import solve
from training.distillation.rollout import rollout
from training.objectives import (
    consistency_loss,
    denoising_loss,
    edm_weight,
    lower_level,
    teacher_step,
)


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
    means = [data(data.flow(x, 80.0, sigma), full(sigma, 16)) for sigma in (80.0, 0.1)]
    assert not torch.allclose(means[0], means[1], rtol=0.1), "a denoiser is no consistency map"


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


def test_a_networks_loss_at_level_zero_is_its_plain_denoising_loss():
    torch.manual_seed(2)
    network = Denoiser((1, 8, 8), 0, SMALL).eval()
    images, noise = torch.randn(2, 4, 1, 8, 8).unbind(0)
    level, none = torch.tensor([0.1, 1.0, 5.0, 40.0]), torch.zeros(4)
    args = images, noise, level
    loss, _ = consistency_loss(
        network, lambda noisy: torch.full_like(noisy, math.nan), *args, none, None, 0.5
    )
    _, plain = denoising_loss(network, images, torch.full((4,), -1), level, noise)
    torch.testing.assert_close(loss, plain)
    near, _ = consistency_loss(network, lambda x: 0 * x, *args, none + 0.05, None, 0.5)
    assert not torch.allclose(near, plain, rtol=0.01), "at other levels it is another loss"


def trained_gain(levels, teacher_steps=False):
    """Gain of the student of x at the highest of rising levels, each trained upon the one below.

    Data N(0, v) and noise are +-1 deviation, which has their second moments exactly, so that each
    gain is the exact minimum of the quadratic loss.
    """
    v = DATA_STD**2
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    images, noise = (DATA_STD * signs[:, :1], signs[:, 1:])
    images, noise = images.view(4, 1, 1, 1), noise.view(4, 1, 1, 1)
    gain, lower = 1.0, 0.0
    for level in levels:
        below = gain * (images + lower * noise)
        if teacher_steps:
            ratio = ((v + lower**2) / (v + level**2)) ** 0.5
            below = gain * ratio * (images + level * noise)

        def slope(at, below=below, level=level, lower=lower):
            own = torch.tensor(at, dtype=torch.float64, requires_grad=True)
            loss, _ = consistency_loss(
                lambda x, sigma, labels: own * x,
                lambda noisy: below,
                images,
                noise,
                full(level, 4),
                full(lower, 4),
                None,
                DATA_STD,
            )
            return torch.autograd.grad(loss.mean(), own)[0].item()

        gain = slope(0.0) / (slope(0.0) - slope(1.0))
        lower = level
    return gain


@pytest.mark.parametrize(("count", "ratio"), [(10, 0.730), (40, 0.930)])
def test_consistency_training_with_few_levels_shrinks_as_the_closed_form_says(count, ratio):
    """a_N = prod (v + t_i t_{i-1}) / (v + t_i^2); along the teacher's own ODE nothing shrinks."""
    v = DATA_STD**2
    levels = time_grid("karras", count, 0.002, 80.0)[:-1].flip(0).tolist()
    product = 1.0
    for lower, level in itertools.pairwise([0.0, *levels]):
        product *= (v + level * lower) / (v + level**2)
    found = trained_gain(levels)
    assert found == pytest.approx(product, rel=1e-9)
    scale = ((v + levels[-1] ** 2) / v) ** 0.5
    assert found * scale == pytest.approx(ratio, abs=1e-3)
    assert trained_gain(levels, teacher_steps=True) * scale == pytest.approx(1, abs=1e-3)


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
    if len(levels) > 1:  # a noised training image in place of the student's own is another path
        real = DATA_MEAN + DATA_STD * normal(8, 99) + levels[-1] * noises[-1]
        assert not torch.allclose(consistency_map(real, full(levels[-1], 8)), sampled, rtol=1e-2)
    else:
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
