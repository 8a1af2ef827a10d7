"""Solvers against exact denoisers: closed forms, orders of convergence, and per-image noise."""

import math

import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from sampling.grids.table import time_grid
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import SOLVERS, evaluated_levels, make_solver, solve

SHAPE = (1, 1, 2)
ON_THE_GRID = [name for name in SOLVERS if make_solver(name).own_steps() is None]
"""Solvers that visit the levels of the time grid; the other has a file of its own."""


def normal(count, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape, generator=generator, dtype=torch.float64)


def mixture():
    means = torch.tensor([[-0.6, 0.1], [0.5, 0.4], [0.2, -0.7]]).view(3, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.3)


def run(solver, steps, **options):
    """From sigma 10 to 0.1 on the mixture, uniformly in log sigma."""
    sigmas = torch.logspace(1, -1, steps + 1, dtype=torch.float64)
    return solve(solver, mixture(), normal(32), sigmas, **options)


@pytest.fixture(scope="module")
def fine():
    return run("unipc", 1200, order=3, lower_order_final=False)


def test_ddim_on_a_gaussian_is_the_product_of_contractions():
    """Each step multiplies by (c^2 + sigma sigma') / (c^2 + sigma^2)."""
    c, noise = 0.5, normal(8)
    sigmas = time_grid("karras", 12, 0.002, 80.0)
    product = 1.0
    for sigma, target in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        product *= (c**2 + sigma * target) / (c**2 + sigma**2)
    images = solve("ddim", GaussianDenoiser(SHAPE, std=c), noise, sigmas)
    torch.testing.assert_close(images, noise * 80.0 * product, rtol=1e-12, atol=0)


def test_heun_on_a_gaussian_is_the_product_of_its_stability_factors():
    """With slope x sigma / (c^2 + sigma^2) the trapezoid step has a closed form too."""
    c, noise = 0.5, normal(8)
    sigmas = time_grid("karras", 9, 0.002, 80.0)
    product = 1.0
    for sigma, target in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        here, there = sigma / (c**2 + sigma**2), target / (c**2 + target**2)
        euler = 1 + (target - sigma) * here
        trapezoid = 1 + (target - sigma) * (here + there * euler) / 2
        product *= trapezoid if target > 0 else euler
    images = solve("heun", GaussianDenoiser(SHAPE, std=c), noise, sigmas)
    torch.testing.assert_close(images, noise * 80.0 * product, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("name", "options", "order"),
    [
        ("ddim", {}, 1),
        ("heun", {}, 2),
        ("dpmpp_2m", {}, 2),
        ("unipc", {"order": 1, "corrector": False}, 1),
        ("unipc", {"order": 1}, 2),
        ("unipc", {"order": 2, "corrector": False}, 2),
        ("unipc", {"order": 2}, 2),
        ("unipc", {"order": 2, "variant": "bh1", "lower_order_final": False}, 3),
        ("unipc", {"order": 2, "lower_order_final": False}, 3),
        ("unipc", {"order": 3, "lower_order_final": False}, 3),
    ],
)
def test_order_of_convergence(name, options, order, fine):
    """The error falls as steps^-order; a mixture, so that nothing is linear in x.

    UniPC's last step, which nothing corrects, has the order of its predictor.
    """
    errors = [(run(name, n, **options) - fine).pow(2).mean().sqrt() for n in (40, 80, 160)]
    slope = math.log(errors[0] / errors[2]) / math.log(4)
    assert slope > order - 0.25, [f"{e:.2e}" for e in errors]


@pytest.mark.parametrize("name", ["heun", "unipc", "dpmpp_2m"])
def test_reaches_the_exact_flow_of_a_correlated_gaussian(name):
    root = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    denoiser = GaussianDenoiser((1, 2, 2), 0.2, covariance=root @ root.T / 8)
    noise = normal(8, (1, 2, 2))
    sigmas = time_grid("log_snr", 400, 1e-4, 80.0)
    images = solve(name, denoiser, noise, sigmas)
    torch.testing.assert_close(images, denoiser.flow(noise * 80.0, 80.0, 0.0), rtol=0, atol=2e-3)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_ancestral_variance_of_a_gaussian(eta):
    """The DDPM posterior (eta = 1) gives the variance step by step in closed form."""
    c = 0.5
    sigmas = time_grid("karras", 20, 0.002, 80.0)
    variance = 80.0**2
    for sigma, target in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        # x' = x0 hat + kept (x - x0 hat) / sigma + fresh noise; at eta = 1 kept is
        # sigma'^2 / sigma and fresh^2 = sigma'^2 (1 - sigma'^2 / sigma^2), q(x' | x, x0).
        share = c**2 / (c**2 + sigma**2)
        fresh = eta**2 * target**2 * (1 - target**2 / sigma**2)
        kept = target**2 / sigma if eta == 1 else (target**2 - fresh) ** 0.5
        variance = (share + kept / sigma * (1 - share)) ** 2 * variance + fresh
    torch.manual_seed(99)
    images = solve("ddim", GaussianDenoiser(SHAPE, std=c), normal(100_000), sigmas, eta=eta)
    assert float(images.var()) == pytest.approx(variance, rel=0.015)


def test_churn_keeps_the_distribution_and_changes_the_images():
    denoiser, sigmas = GaussianDenoiser(SHAPE, std=0.5), time_grid("karras", 60, 0.002, 80.0)
    torch.manual_seed(99)
    images = solve("heun", denoiser, normal(20_000), sigmas, churn=30.0)
    plain = solve("heun", denoiser, normal(20_000), sigmas)
    assert float(images.std()) == pytest.approx(0.5, rel=0.03)
    assert float((images - plain).std()) > 0.1
    outside = solve("heun", denoiser, normal(9), sigmas, churn=30.0, churn_min=90.0)
    assert torch.equal(outside, solve("heun", denoiser, normal(9), sigmas))


def test_consistency_adds_fresh_noise_between_full_denoisings():
    calls = []

    def denoise(x, sigma):
        calls.append((x, sigma))
        return torch.zeros_like(x) + len(calls)

    noise, generators = normal(3), image_generators(0, [0, 1, 2])
    images = solve("consistency", denoise, noise, [4.0, 1.0, 0.0], generators=generators)
    fresh = image_noise(image_generators(0, [0, 1, 2]), SHAPE, torch.float64)
    torch.testing.assert_close(calls[0][0], 4.0 * noise)
    torch.testing.assert_close(calls[1][0], 1.0 + 1.0 * fresh)
    torch.testing.assert_close(images, torch.full_like(images, 2.0))


@pytest.mark.parametrize("name", ON_THE_GRID)
def test_counts_evaluations_and_keeps_shape_and_dtype(name):
    calls, steps = [], []
    exact = GaussianDenoiser((3, 4, 5), std=0.5)

    def denoise(x, sigma):
        assert x.shape == (2, 3, 4, 5) and sigma.shape == (2,) and sigma.dtype == x.dtype
        calls.append(float(sigma[0]))
        return exact(x, sigma)

    noise = normal(2, (3, 4, 5)).float()
    before = noise.clone()
    sigmas = time_grid("karras", 7, 0.002, 80.0)
    images = solve(
        name, denoise, noise, sigmas, callback=lambda step, x, x0: steps.append((step, x, x0))
    )
    assert images.dtype == torch.float32 and images.shape == noise.shape
    assert torch.equal(noise, before)
    assert len(calls) == make_solver(name).evaluations(sigmas.tolist())
    assert [step for step, _, _ in steps] == list(range(7))
    assert torch.equal(steps[-1][1], images)


@pytest.mark.parametrize(
    ("name", "options"), [("ddim", {"eta": 1.0}), ("heun", {"churn": 20.0}), ("consistency", {})]
)
def test_image_depends_on_its_own_generator_only(name, options):
    denoiser, sigmas = mixture(), time_grid("karras", 6, 0.01, 10.0)

    def run(indices):
        generators = image_generators(5, indices)
        noise = image_noise(generators, SHAPE, torch.float64)
        return solve(name, denoiser, noise, sigmas, generators=generators, **options)

    torch.testing.assert_close(run([3, 1, 4])[2:], run([4]), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(run([3]), run([4]))


def test_a_grid_that_ends_above_zero_stops_there():
    """Half a run and its rest are the whole run, for a one-step method."""
    denoiser, noise = mixture(), normal(4)
    sigmas = time_grid("karras", 10, 0.01, 10.0)
    half = solve("heun", denoiser, noise, sigmas[:5])
    rest = solve("heun", denoiser, half / sigmas[4], sigmas[4:])
    whole = solve("heun", denoiser, noise, sigmas)
    torch.testing.assert_close(rest, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in SOLVERS),
        ("ddim", {"eta": 1.0}),
        ("unipc", {"order": 3}),
        ("unipc", {"corrector": False}),
    ],
)
def test_one_step_is_the_denoised_noise(name, options):
    """From sigma_max to 0: the posterior mean of pure noise, without fresh noise."""
    denoiser, noise, calls, steps = mixture(), normal(8), [], []

    def denoise(x, sigma):
        calls.append(sigma.unique().tolist())
        return denoiser(x, sigma)

    sigmas = time_grid("karras", 1, 0.002, 4.0)
    images = solve(
        name, denoise, noise, sigmas, callback=lambda *step: steps.append(step[0]), **options
    )
    expected = denoiser(4.0 * noise, torch.full((8,), 4.0, dtype=torch.float64))
    if name == "heun":  # x - sigma (x - D) / sigma, which rounds
        torch.testing.assert_close(images, expected, rtol=0, atol=1e-14)
    else:
        assert torch.equal(images, expected)
    assert calls == [[4.0]] and steps == [0]
    assert make_solver(name, **options).evaluations(sigmas.tolist()) == 1


@pytest.mark.parametrize("name", ON_THE_GRID)
def test_evaluated_levels_are_those_of_the_calls(name):
    calls, exact = [], GaussianDenoiser(SHAPE, std=0.5)

    def denoise(x, sigma):
        calls.append(float(sigma[0]))
        return exact(x, sigma)

    for options in ({}, {"churn": 3.0} if name == "heun" else {}):
        calls.clear()
        sigmas = time_grid("karras", 6, 0.01, 20.0)
        state = torch.get_rng_state()
        levels = evaluated_levels(make_solver(name, **options), sigmas)
        assert torch.equal(torch.get_rng_state(), state)
        generators = image_generators(0, range(2))
        solve(name, denoise, normal(2), sigmas, generators=generators, **options)
        assert levels == calls and len(levels) == make_solver(name).evaluations(sigmas.tolist())


def never(x, sigma):
    raise AssertionError("the denoiser was called before the input was checked")


GOOD = [1.0, 0.1, 0.0]


@pytest.mark.parametrize(
    ("name", "sigmas", "options", "message"),
    [
        ("huen", GOOD, {}, "did you mean 'heun'"),
        ("dpm_2m", GOOD, {}, "did you mean 'dpmpp_2m'"),
        ("heun", GOOD, {"eta": 1.0}, "'eta' belongs to ddim"),
        ("unipc", GOOD, {"ordr": 2}, "did you mean 'order'"),
        ("unipc", GOOD, {"order": 4}, "order is 4"),
        ("ddim", GOOD, {"eta": 1.5}, "eta is 1.5"),
        ("ddim", GOOD, {"eta": "1"}, "eta is '1'"),
        ("heun", [1.0, 1.0, 0.0], {}, "fall strictly: entry 0 is 1.0"),
        ("heun", [0.1, 1.0, 0.0], {}, "fall strictly"),
        ("heun", [1.0, 0.5, -0.1], {}, "end at 0 or above"),
        ("heun", [1.0, math.nan, 0.0], {}, "fall strictly"),
        ("heun", [math.inf, 1.0, 0.0], {}, "fall strictly"),
        ("heun", [1.0], {}, "at least two"),
        ("ddim", GOOD, {"generators": image_generators(0, [1])}, "1 generator"),
    ],
)
def test_bad_input_is_one_clear_error_before_any_work(name, sigmas, options, message):
    with pytest.raises(ValueError, match=message) as error:
        solve(name, never, normal(2), sigmas, **options)
    assert "\n" not in str(error.value)
