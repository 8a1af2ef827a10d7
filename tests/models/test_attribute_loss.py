"""Overlap of classes and weights of noise levels, against integrals and many digits."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from models.attribute_loss import (
    KINDS,
    class_distance,
    level_weights,
    likelihood_weight,
    log_overlap,
    log_spacing,
    overlap,
    time_step_weight,
)

LEVELS = torch.logspace(-3, 2, 101, dtype=torch.float64)


def exact_weight(d, sigma):
    """The paper's formula with 60 digits more than it loses."""
    with mpmath.workdps(60):

        def mass(at):
            return mpmath.erfc(mpmath.mpf(at) / (2 * mpmath.sqrt(2) * mpmath.mpf(sigma)))

        own = mass(d)
        return float(own / (own + mpmath.fsum(mass(d + j) for j in range(1, 501))))


def lossy_weight(d, sigma):
    """The same from 1 - erf, as one would write it first."""
    mass = 1 - torch.special.erf((d + torch.arange(501.0).double()) / (2 * math.sqrt(2) * sigma))
    return float(mass[0] / (mass.sum() + 1e-18))


@pytest.mark.parametrize(("d", "sigma"), [(0.0, 1.0), (1.0, 0.3), (2.0, 1.0), (0.5, 4.0)])
def test_half_the_overlap_is_the_error_of_bayes_between_two_points(d, sigma):
    x = np.linspace(-40, 40, 400_001)
    both = np.minimum(stats.norm.pdf(x, -d / 2, sigma), stats.norm.pdf(x, d / 2, sigma))
    error = np.trapezoid(both, x) / 2
    assert float(overlap(d, sigma)) / 2 == pytest.approx(error, abs=1e-6)
    assert float(overlap(d, sigma)) / 2 == pytest.approx(stats.norm.cdf(-d / 2 / sigma))
    noise = np.random.default_rng(0).normal(0, sigma, 200_000)
    assert float(overlap(d, sigma)) / 2 == pytest.approx((noise > d / 2).mean(), abs=0.004)


def test_its_logarithm_is_finite_where_it_is_not():
    assert float(overlap(60, 0.5)) == 0
    far = float(log_overlap(60, 0.5))
    assert far == pytest.approx(
        math.log(2) - 60**2 / 2 - math.log(60 * math.sqrt(2 * math.pi)), 1e-6
    )


@pytest.mark.parametrize("d", [10, 30, 60])
def test_the_weight_is_right_where_one_minus_erf_is_zero(d):
    levels = [d / 40, d / 20, d / 14]
    assert [lossy_weight(d, sigma) for sigma in levels[:2]] == [0, 0]
    for sigma in levels:
        found = float(time_step_weight(d, sigma))
        assert 0 < found <= 1 and found == pytest.approx(exact_weight(d, sigma), rel=1e-9)


@pytest.mark.parametrize("d", [0, 0.3, 10, 30, 60])
def test_the_weight_falls_from_one_and_is_finite_everywhere(d):
    weights = time_step_weight(d, LEVELS)
    assert weights.isfinite().all() and (weights > 0).all() and (weights.diff() <= 0).all()
    assert float(weights[0]) == pytest.approx(1, abs=1e-9)
    assert float(weights[-1]) < 0.05
    below = weights[weights < 1 - 1e-12]
    assert len(below) > 20 and below.diff().max() < 0  # strictly, where digits can show it
    assert float(time_step_weight(d, 2.0)) == pytest.approx(exact_weight(d, 2.0), rel=1e-9)


def test_cells_fill_the_range_in_any_order():
    levels = torch.tensor([0.1, 1.0, 100.0])
    assert torch.allclose(log_spacing(levels) / math.log(10), torch.tensor([1, 1.5, 2]).double())
    order = torch.tensor([2, 0, 1])
    assert torch.equal(log_spacing(levels[order]), log_spacing(levels)[order])
    assert log_spacing(torch.tensor([3.0])).tolist() == [1]
    assert torch.allclose(likelihood_weight(levels), log_spacing(levels) / levels.double() ** 2)


def test_kinds_differ_as_they_say():
    assert torch.equal(level_weights("uniform", LEVELS), log_spacing(LEVELS))
    likelihood = level_weights("likelihood", LEVELS, 3.0)
    assert torch.equal(likelihood, likelihood_weight(LEVELS))
    assert torch.allclose(
        level_weights("time_step", LEVELS, 3.0), likelihood * time_step_weight(3.0, LEVELS)
    )
    assert len(KINDS) == 3
    with pytest.raises(ValueError, match="unknown weight 'flat'"):
        level_weights("flat", LEVELS)


def test_distance_of_classes_is_of_the_positions_where_they_differ():
    images = torch.zeros(8, 1, 2, 2)
    classes = torch.tensor([0, 1] * 4)
    images[classes == 1, 0, 0, 0] = 3.0
    images[classes == 1, 0, 1, 1] = -4.0
    assert class_distance(images, classes) == pytest.approx(5)
    images[classes == 1, 0, 0, 1] = torch.tensor([9.0, 0, 0, 0])  # less often than one in ten
    assert class_distance(images, classes) == pytest.approx(5)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    assert class_distance(images[order], 1 - classes[order]) == pytest.approx(5)
    with pytest.raises(ValueError, match="two classes or more"):
        class_distance(images, torch.zeros(8))


def brute_distance(images, classes, quantile):
    """The distance pair by pair and position by position, in NumPy."""
    total = 0.0
    for place in np.ndindex(images.shape[2:]):
        at = images[(slice(None), slice(None), *place)].numpy()
        gaps = [
            ((at[i] - at[j]) ** 2).sum()
            for i in range(len(at))
            for j in range(i)
            if classes[i] != classes[j]
        ]
        total += np.quantile(gaps, quantile)
    return math.sqrt(total)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("numbers", [1 << 22, 1000])
def test_distance_is_that_of_all_pairs_one_by_one(channels, numbers, monkeypatch):
    monkeypatch.setattr("models.attribute_loss.NUMBERS", numbers)  # few positions at once, or all
    images = torch.randn(12, channels, 4, 5, generator=torch.Generator().manual_seed(channels))
    images = images.double()
    classes = torch.tensor([0, 1, 2] * 4)
    assert class_distance(images, classes) == pytest.approx(brute_distance(images, classes, 0.1))


def test_distance_sums_channels_before_it_looks_for_the_quantile():
    images = torch.zeros(6, 3, 1, 1)
    for number in range(3):  # each of class 1 differs by 3, and in a channel of its own
        images[2 * number + 1, number] = 3.0
    classes = torch.tensor([0, 1] * 3)
    assert class_distance(images, classes) == pytest.approx(3)  # 0 with each channel by itself


def test_the_quantile_does_not_vanish_as_images_grow_in_number():
    """TiF's .001 does, where each class has some images that are alike at a position."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(80, 1, 3, 3, generator=generator, dtype=torch.float64)
    classes = torch.arange(80) % 2
    few, many = class_distance(images[:16], classes[:16]), class_distance(images, classes)
    assert many > few / 2 and many > 20 * brute_distance(images, classes, 0.001)
