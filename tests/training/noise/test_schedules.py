"""What each schedule draws, against its definition."""

from typing import get_args

import numpy as np
import pytest
import torch

from foundation.workers import World
from sampling.config import SamplerConfig
from training.config import NoiseConfig
from training.noise.adaptive import BINS, UNIFORM, Adaptive
from training.noise.build import make_noise_schedule
from training.noise.levels import sigma_quantile
from training.noise.table import SCHEDULES

GRID = (np.arange(200_000) + 0.5) / 200_000
"""So fine that means over it are integrals."""


def schedule(**changes):
    return make_noise_schedule(NoiseConfig(**changes), 0.5)


def taught(by="loss", steps=100, **changes):
    """An adaptive schedule that has seen losses which vary most around sigma 1."""
    made = schedule(schedule="adaptive", adapt_by=by, **changes)
    random = np.random.default_rng(0)
    for _ in range(steps):
        sigma = torch.from_numpy(made.draw(random.uniform(size=512), 0)[0])
        made.observe(sigma, value(sigma), torch.zeros_like(sigma))
        made.update(World(), 512)
    return made


def value(sigma):
    """A loss that is eight times as large around sigma 1 as far from it."""
    return 1 + 7 * torch.exp(-(sigma.log() ** 2))


@pytest.mark.parametrize("by", ["loss", "gradient"])
def test_the_density_follows_the_root_of_the_second_moment(by):
    """The loss's own second moment is value^2, the gradient's square is value itself."""
    made = taught(by, steps=400, adapt_kimg=1000.0)
    middle = torch.from_numpy(sigma_quantile(made.config, (np.arange(BINS) + 0.5) / BINS))
    root = value(middle).numpy() ** (1.0 if by == "loss" else 0.5)
    expected = (1 - UNIFORM) * root / root.mean() + UNIFORM
    np.testing.assert_allclose(made.density(), expected, rtol=0.1)


@pytest.mark.parametrize("f", [np.log, np.sqrt, lambda s: (s > 1).astype(float)])
def test_no_mean_changes(f):
    """E_q[weight f(sigma)] = E[f(sigma)], to the error of the sum over a fine grid."""
    made = taught()
    sigma, weight = made.draw(GRID, 0)
    plain = sigma_quantile(made.config, GRID)
    assert np.mean(weight * f(sigma)) == pytest.approx(np.mean(f(plain)), abs=2e-4)
    assert np.mean(f(sigma)) != pytest.approx(np.mean(f(plain)), abs=2e-2), "nothing was adapted"


def test_the_weighted_loss_varies_less():
    made = taught()
    sigma, weight = made.draw(GRID, 0)
    weighted = weight * value(torch.from_numpy(sigma)).numpy()
    plain = value(torch.from_numpy(sigma_quantile(made.config, GRID))).numpy()
    assert weighted.std() < 0.4 * plain.std()
    assert weight.max() <= 1 / UNIFORM + 1e-9


def test_before_anything_is_seen_adaptive_is_the_plain_law():
    made = schedule(schedule="adaptive")
    sigma, weight = made.draw(GRID[::100], 0)
    np.testing.assert_allclose(sigma, sigma_quantile(NoiseConfig(), GRID[::100]), rtol=1e-12)
    assert (weight == 1).all()


def test_what_is_not_finite_is_not_learned():
    made = taught()
    before = made.density()
    sigma = torch.tensor([0.1, 1.0, 10.0])
    made.observe(sigma, torch.tensor([np.nan, np.inf, np.nan]), torch.zeros(3))
    made.update(World(), 0)
    np.testing.assert_array_equal(made.density(), before)


def test_one_spike_does_not_rule():
    made = taught()
    before = made.density()
    made.observe(torch.tensor([1.0]), torch.tensor([1e6]), torch.zeros(1))
    made.update(World(), 1)
    assert np.abs(made.density() / before - 1).max() < 0.2


def test_memory_fades():
    """After many times adapt_kimg only the later losses count."""
    made = taught(adapt_kimg=1.0)
    for _ in range(40):
        sigma = torch.from_numpy(made.draw(GRID[::400], 0)[0])
        made.observe(sigma, torch.full_like(sigma, 3.0), torch.zeros_like(sigma))
        made.update(World(), 500)
    np.testing.assert_allclose(made.density(), 1.0, atol=1e-3)


def test_the_order_of_micro_batches_is_no_part_of_it():
    parts = [schedule(schedule="adaptive") for _ in range(2)]
    sigma = torch.from_numpy(sigma_quantile(NoiseConfig(), GRID[::1000]))
    parts[0].observe(sigma, value(sigma), torch.zeros_like(sigma))
    for rows in (slice(100, 200), slice(0, 100)):
        parts[1].observe(sigma[rows], value(sigma[rows]), torch.zeros_like(sigma[rows]))
    for made in parts:
        made.update(World(), 200)
    np.testing.assert_allclose(parts[0].density(), parts[1].density(), rtol=1e-12)


def test_speed_draws_the_noisy_end_less():
    """A share tau of times before, (1 - tau) / k beyond, over their sum; uniform on each side."""
    made = schedule(schedule="speed", speed_after=0.6, speed_factor=4.0)
    times = made.time(GRID)
    assert np.mean(times > 0.6) == pytest.approx(0.1 / 0.7, abs=1e-4)
    assert np.mean(times < 0.3) == pytest.approx(0.3 / 0.7, abs=1e-4)
    sigma, weight = made.draw(GRID, 0)
    assert weight is None and (np.diff(sigma) >= 0).all()
    np.testing.assert_allclose(
        schedule(schedule="speed", speed_factor=1.0).draw(GRID, 0)[0],
        schedule(schedule="vp_linear").draw(GRID, 0)[0],
    )


def test_a_samplers_levels_alone():
    sampler = SamplerConfig(solver="heun", grid="karras", steps=5)
    made = schedule(schedule="sampler", sampler=sampler)
    sigma, weight = made.draw(GRID, 0)
    levels, counts = np.unique(sigma, return_counts=True)
    np.testing.assert_allclose(levels, sorted(sampler.visited_levels()))
    assert weight is None and np.ptp(counts) <= 1


def test_a_sampler_that_tells_other_levels_is_trained_at_those():
    sampler = SamplerConfig(steps=4, told_sigma=1.1)
    told = schedule(schedule="sampler", sampler=sampler).draw(GRID[::100], 0)[0]
    np.testing.assert_allclose(np.unique(told), 1.1 * np.sort(sampler.visited_levels()))


def test_a_solver_that_asks_between_the_grids_levels_is_trained_there():
    """dpmpp's singlestep or heun's churn aside, what counts is where the network is asked."""
    from sampling.solvers.table import evaluated_levels

    sampler = SamplerConfig(solver="unipc", grid="log_snr", steps=4)
    made = schedule(schedule="sampler", sampler=sampler)
    asked = {float(s) for s in evaluated_levels(sampler.make_solver(), sampler.time_grid())}
    assert set(made.draw(GRID[::50], 0)[0]) == asked


@pytest.mark.parametrize("inner", ["log_normal", "vp_cosine", "speed", "flow"])
def test_a_curriculum_begins_with_high_noise_and_ends_with_all(inner):
    made = schedule(schedule=inner, curriculum_kimg=2.0)
    plain = schedule(schedule=inner)
    lowest = [made.draw(GRID, nimg)[0].min() for nimg in (0, 500, 1000, 1500, 2000)]
    assert (np.diff(lowest) < 0).all()
    assert lowest[0] == pytest.approx(plain.draw(np.array([0.8]), 0)[0][0], rel=1e-3)
    np.testing.assert_array_equal(made.draw(GRID, 2000)[0], plain.draw(GRID, 2000)[0])
    np.testing.assert_array_equal(made.draw(GRID, 9000)[0], plain.draw(GRID, 9000)[0])


def test_every_name_of_a_schedule_has_one():
    assert list(get_args(NoiseConfig.model_fields["schedule"].annotation)) == list(SCHEDULES)


@pytest.mark.parametrize(
    "given",
    [
        {"schedule": "sampler"},
        {"schedule": "adaptive", "curriculum_kimg": 1.0},
        {"schedule": "quick"},
    ],
)
def test_settings_that_do_not_fit_are_told(given):
    with pytest.raises(ValueError, match="schedule"):
        NoiseConfig(**given)


def test_a_state_says_all():
    made, other = taught(), schedule(schedule="adaptive")
    other.restore(made.state())
    np.testing.assert_array_equal(made.draw(GRID[::100], 300)[0], other.draw(GRID[::100], 300)[0])
    assert schedule().state() == {} and isinstance(taught(steps=1), Adaptive)


@pytest.mark.parametrize("asked", [{"grid": "fitted"}, {"solver": "adaptive_heun"}])
def test_a_sampler_whose_levels_are_no_settings_is_refused(asked):
    with pytest.raises(ValueError, match="sampler: its levels are drawn in training, and"):
        NoiseConfig(schedule="sampler", sampler=SamplerConfig(**asked))
