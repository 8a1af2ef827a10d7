"""Steps that each image chooses: the exact flow, the order, counted calls, independence."""

import math
from pathlib import Path
from runpy import run_path

import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from sampling.drawing.tally import EvaluationTally
from sampling.grids.table import time_grid
from sampling.guidance.base import bind_labels
from sampling.solvers.adaptive_heun import AdaptiveHeun
from sampling.solvers.heun import Heun
from sampling.solvers.table import make_solver, solve

Counting = run_path(str(Path(__file__).parents[1] / "counting.py"))["Counting"]

SHAPE = (1, 1, 2)
GRID = time_grid("karras", 18, 0.002, 80.0)


def normal(count, seed=0, shape=SHAPE):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape, generator=generator, dtype=torch.float64)


def mixture():
    """Three narrow components, two of them near each other: paths of different difficulty."""
    means = torch.tensor([[-0.9, 0.1], [0.6, 0.4], [0.75, 0.2]]).view(3, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.05, None, [0, 1, 2])


def counted(denoiser, noise, sigmas=GRID, labels=None, **options):
    """(images, NFE of each)."""
    tally = EvaluationTally(len(noise))
    bound = bind_labels(denoiser, labels, tally.batch(0, len(noise)))
    return solve("adaptive_heun", bound, noise, sigmas, **options), tally.calls


def test_the_exact_flow_of_a_gaussian_is_reached_with_order_2():
    """The tolerance bounds the error of Euler's step, of second order, so the error of Heun's steps
    falls with it, and as the square of the number of evaluations."""
    denoiser, noise = GaussianDenoiser(SHAPE, std=0.5), normal(4)
    exact = denoiser.flow(noise * 80.0, 80.0, 0.002)
    errors, calls = [], []
    for tolerance in (1e-2, 1e-3, 1e-4):
        images, nfe = counted(denoiser, noise, GRID[:-1], tolerance=tolerance)
        errors.append(float((images - exact).square().mean().sqrt()))
        calls.append(float(nfe.mean()))
    assert errors[2] < 2e-4
    for first, second in ((0, 1), (1, 2)):
        order = math.log(errors[first] / errors[second]) / math.log(calls[second] / calls[first])
        assert 1.7 < order < 2.3, (errors, calls)


def test_one_step_is_that_of_heun_and_its_error_the_difference_from_euler():
    """With a tolerance that allows any step, two levels give one step of each solver's own."""
    denoiser, noise, levels = mixture(), normal(8), [3.0, 1.0]
    ours = solve("adaptive_heun", denoiser, noise, levels, tolerance=10.0)
    torch.testing.assert_close(ours, solve("heun", denoiser, noise, levels), rtol=0, atol=1e-14)
    euler = solve("ddim", denoiser, noise, levels)
    error = (ours - euler).square().flatten(1).mean(1).sqrt() / math.hypot(1.0, 0.5)
    for place in range(8):
        near = float(error[place])
        _, loose = counted(denoiser, noise[place : place + 1], levels, tolerance=1.001 * near)
        _, strict = counted(denoiser, noise[place : place + 1], levels, tolerance=0.999 * near)
        assert loose.tolist() == [2] and strict[0] >= 5  # a try in vain, then two steps or more


def test_counts_are_the_calls_of_a_denoiser_that_counts():
    counting, noise = Counting(mixture()), normal(32)
    _, nfe = counted(counting, noise)
    assert counting.images == nfe.sum() and nfe.max() > nfe.min()
    _, few = counted(counting, noise, tolerance=0.2)
    assert (few <= nfe).all() and few.mean() < 0.8 * nfe.mean()


def test_an_image_depends_on_no_other_of_its_batch():
    labels = torch.arange(32) % 3
    images, nfe = counted(mixture(), normal(32), labels=labels)
    for rows in ([5], [7, 3, 21], list(range(31, -1, -1))):
        alone, own = counted(mixture(), normal(32)[rows], labels=labels[rows])
        torch.testing.assert_close(alone, images[rows], rtol=1e-12, atol=1e-12)
        assert own.tolist() == nfe[rows].tolist()
    # A denoiser that cannot be asked about some images gives the same.
    whole = solve("adaptive_heun", lambda x, s: mixture()(x, s, labels), normal(32), GRID)
    torch.testing.assert_close(whole, images, rtol=1e-12, atol=1e-12)


def test_evaluations_are_those_of_gaussian_data():
    for tolerance in (0.2, 0.02):
        denoiser = GaussianDenoiser((1, 2, 2), std=0.5)
        noise = torch.ones(1, 1, 2, 2, dtype=torch.float64)
        _, nfe = counted(denoiser, noise, tolerance=tolerance)
        assert AdaptiveHeun(tolerance=tolerance).evaluations(GRID.tolist()) == nfe[0]


def test_the_grid_gives_its_ends_and_the_first_step_alone():
    asked = []

    def denoise(x, sigma):
        asked.append(float(sigma[0]))
        return mixture()(x, sigma)

    solve("adaptive_heun", denoise, normal(1), [80.0, 20.0, 7.0, 0.01, 0.0])
    assert asked[:2] == [80.0, pytest.approx(20.0)] and asked[-1] == 0.01
    assert not any(abs(level - 7.0) < 1e-9 for level in asked)


def test_an_image_that_is_not_finite_ends_as_with_heun():
    def broken(x, sigma):
        x0 = mixture()(x, sigma)
        x0[0] = float("nan")
        return x0

    images = solve("adaptive_heun", broken, normal(3), GRID)
    assert images[0].isnan().all() and images[1:].isfinite().all()
    torch.testing.assert_close(images[1:], counted(mixture(), normal(3))[0][1:])


def test_too_many_evaluations_are_one_clear_error():
    calls = 0

    def denoise(x, sigma):
        nonlocal calls
        calls += 1
        return mixture()(x, sigma)

    with pytest.raises(ValueError, match=r"image 0 of a batch .* raise tolerance .* or max_eval"):
        solve("adaptive_heun", denoise, normal(1), GRID, tolerance=1e-6, max_evaluations=40)
    assert calls <= 40
    nfe = counted(mixture(), normal(4))[1]
    counted(mixture(), normal(4), max_evaluations=int(nfe.max()) + 2)  # enough is enough


def test_other_solvers_visit_the_grid():
    assert make_solver("adaptive_heun").own_steps() and Heun().own_steps() is None
    assert make_solver("adaptive_heun").fresh_noise() is None
