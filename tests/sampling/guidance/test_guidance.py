"""Guidance against the densities of a two-class mixture, and how the wrappers nest."""

import itertools
from pathlib import Path
from runpy import run_path

import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from sampling.grids.table import time_grid
from sampling.guidance.autoguidance import Autoguidance, AutoguidanceConfig
from sampling.guidance.base import bind_labels
from sampling.guidance.classifier_free import ClassifierFree, ClassifierFreeConfig
from sampling.guidance.gradient import Gradient, GradientConfig
from sampling.guidance.interval import Interval, IntervalConfig
from sampling.guidance.table import guide_denoiser
from sampling.solvers.table import solve

Counting = run_path(str(Path(__file__).parents[1] / "counting.py"))["Counting"]

SHAPE = (1, 1, 2)


def two_classes(std=0.3):
    means = torch.tensor([[-0.5, 0.1], [-0.1, -0.6], [0.6, 0.3]]).view(3, *SHAPE)
    return GaussianMixtureDenoiser(means, std, [0.3, 0.3, 0.4], [0, 0, 1])


def points(count=24):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, *SHAPE, generator=generator, dtype=torch.float64)
    return x, torch.logspace(-1, 1, count).double(), torch.arange(count) % 2


def tilted(denoiser, x, sigma, labels, weight):
    """x + sigma^2 grad log[p_sigma(x) p_sigma(y | x)^w], by autograd of the densities."""
    leaf = x.clone().requires_grad_()
    density = denoiser.log_prob(leaf, sigma)
    density = density + weight * denoiser.class_log_prob(leaf, sigma, labels)
    (slope,) = torch.autograd.grad(density.sum(), leaf)
    return x + sigma.view(-1, 1, 1, 1) ** 2 * slope


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_both_guidances_are_the_tilted_density_pointwise(weight):
    denoiser = two_classes()
    x, sigma, labels = points()
    expected = tilted(denoiser, x, sigma, labels, weight)
    free = ClassifierFree(denoiser, weight)(x, sigma, labels)
    classifier = Gradient(denoiser, denoiser.class_log_prob, weight)(x, sigma, labels)
    torch.testing.assert_close(free, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(classifier, expected, rtol=1e-9, atol=1e-9)


def test_weight_one_is_the_plain_denoiser_at_its_price():
    x, sigma, labels = points()
    plain, guide = Counting(two_classes()), Counting(two_classes(0.5))
    expected = plain.inner(x, sigma, labels)
    assert torch.equal(ClassifierFree(plain, 1.0)(x, sigma, labels), expected)
    assert torch.equal(Autoguidance(plain, guide, 1.0)(x, sigma, labels), expected)
    assert plain.images == 2 * len(x) and guide.images == 0

    def never(x, sigma, labels):
        raise AssertionError

    unconditional = plain.inner(x, sigma)
    assert torch.equal(Gradient(plain, never, 0.0)(x, sigma, labels), unconditional)


def test_unlabelled_images_are_not_guided():
    denoiser = two_classes()
    x, sigma, _ = points()
    hidden = torch.full((len(x),), -1)
    for labels in (hidden, None):
        guided = ClassifierFree(denoiser, 3.0)(x, sigma, labels)
        torch.testing.assert_close(guided, denoiser(x, sigma), rtol=1e-12, atol=1e-12)


def test_autoguidance_moves_away_from_the_guide():
    main, guide = two_classes(), two_classes(0.6)
    x, sigma, labels = points()
    near, far = main(x, sigma, labels), guide(x, sigma, labels)
    guided = Autoguidance(main, guide, 2.5)(x, sigma, labels)
    torch.testing.assert_close(guided, near + 1.5 * (near - far))


def test_interval_guides_inside_only():
    denoiser = Counting(two_classes())
    x, sigma, labels = points()
    free = ClassifierFree(denoiser, 3.0)
    limited = Interval(free, 0.5, 4.0)
    inside = (sigma > 0.5) & (sigma <= 4.0)
    mixed = limited(x, sigma, labels)
    torch.testing.assert_close(mixed[inside], free(x, sigma, labels)[inside])
    torch.testing.assert_close(mixed[~inside], denoiser(x, sigma, labels)[~inside])
    denoiser.images = 0
    limited(x[:3], torch.full((3,), 9.0).double(), labels[:3])
    assert denoiser.images == 3
    assert torch.equal(
        limited(x[:1], torch.tensor([4.0]), labels[:1]),
        free(x[:1], torch.tensor([4.0]), labels[:1]),
    )


def test_wrappers_nest():
    main, guide = two_classes(), two_classes(0.6)
    x, sigma, labels = points()
    auto = Autoguidance(main, guide, 2.0)
    nested = ClassifierFree(auto, 3.0)
    hidden = torch.full_like(labels, -1)
    low, high = auto(x, sigma, hidden), auto(x, sigma, labels)
    torch.testing.assert_close(nested(x, sigma, labels), low + 3.0 * (high - low))
    assert nested.num_classes == 2 and nested.image_shape == SHAPE

    settings = (
        AutoguidanceConfig(weight=2.0),
        ClassifierFreeConfig(weight=3.0),
        IntervalConfig(sigma_lo=0.5, sigma_hi=4.0),
    )
    built = guide_denoiser(main, settings, guide)
    inside = (sigma > 0.5) & (sigma <= 4.0)
    expected = torch.where(
        inside.view(-1, 1, 1, 1), nested(x, sigma, labels), auto(x, sigma, labels)
    )
    torch.testing.assert_close(built(x, sigma, labels), expected)


@pytest.mark.parametrize("conditional", [False, True])
def test_outside_its_interval_gradient_guidance_leaves_out_the_gradient_alone(conditional):
    """The same base denoiser inside and outside: not without labels here and with labels there."""
    denoiser = two_classes()
    x, sigma, labels = points()
    gradient = Gradient(denoiser, denoiser.class_log_prob, 2.0, conditional)
    limited = Interval(gradient, 0.5, 4.0)
    inside = (sigma > 0.5) & (sigma <= 4.0)
    base = denoiser(x, sigma, labels if conditional else None)
    other = denoiser(x, sigma, None if conditional else labels)
    assert not torch.allclose(base[~inside], other[~inside])  # or nothing would be tested
    mixed = limited(x, sigma, labels)
    assert torch.equal(mixed[~inside], base[~inside])
    assert torch.equal(mixed[inside], gradient(x, sigma, labels)[inside])
    high = torch.full_like(sigma, 9.0)
    expected = denoiser(x, high, labels if conditional else None)
    assert torch.equal(limited(x, high, labels), expected)


def test_an_interval_in_a_list_leaves_out_the_entry_before_it_alone():
    denoiser = two_classes()
    x, sigma, labels = points()
    settings = (
        ClassifierFreeConfig(weight=3.0),
        IntervalConfig(sigma_hi=2.0),
        GradientConfig(weight=2.0),
        IntervalConfig(sigma_lo=0.5),
    )
    built = guide_denoiser(denoiser, settings, denoiser.class_log_prob)
    free = Interval(ClassifierFree(denoiser, 3.0), sigma_hi=2.0)
    whole = Gradient(free, denoiser.class_log_prob, 2.0, conditional=True)
    low = (sigma <= 0.5).view(-1, 1, 1, 1)
    expected = torch.where(low, free(x, sigma, labels), whole(x, sigma, labels))
    assert torch.equal(built(x, sigma, labels), expected)
    # What limits a guidance leaves out the same guidance.
    again = Interval(Interval(ClassifierFree(denoiser, 3.0), 0.5, 4.0), 0.5, 4.0)
    assert torch.equal(again.unguided(x, sigma, labels), denoiser(x, sigma, labels))


def test_samples_follow_their_label_more_surely_with_weight():
    denoiser = two_classes()
    noise = torch.randn(400, *SHAPE, generator=torch.Generator().manual_seed(1)).double()
    labels, sigmas = torch.arange(400) % 2, time_grid("karras", 20, 0.02, 20.0)
    certainty = []
    for weight in (0.0, 0.5, 1.0, 2.0, 4.0):
        guided = ClassifierFree(denoiser, weight)
        images = solve("heun", bind_labels(guided, labels), noise, sigmas)
        small = torch.full((400,), 0.02).double()
        certainty.append(float(denoiser.class_log_prob(images, small, labels).exp().mean()))
    assert all(low < high for low, high in itertools.pairwise(certainty))
    assert certainty[0] < 0.6 and certainty[-1] > 0.99


def test_gradients_flow_only_inside_the_guidance():
    denoiser = two_classes()
    x, sigma, labels = points()
    with torch.no_grad():
        guided = Gradient(denoiser, denoiser.class_log_prob, 2.0)(x, sigma, labels)
    assert not guided.requires_grad and not x.requires_grad


@pytest.mark.parametrize(
    ("settings", "guide", "message"),
    [
        (ClassifierFreeConfig(weight=2.0), None, "has none"),
        (AutoguidanceConfig(weight=2.0), None, "needs a guiding denoiser"),
        (GradientConfig(weight=2.0), None, "needs a log_prob"),
        (AutoguidanceConfig(), GaussianDenoiser((1, 2, 2), std=1.0), "same shape"),
        (AutoguidanceConfig(), two_classes(), "classes"),
    ],
)
def test_unfit_guidance_is_refused(settings, guide, message):
    unlabelled = GaussianDenoiser(SHAPE, std=0.5)
    with pytest.raises(ValueError, match=message):
        guide_denoiser(unlabelled, [settings], guide)


def test_helpers_by_kind_or_by_entry():
    main, x, sigma, labels = two_classes(), *points()
    near, far = two_classes(0.5), two_classes(0.7)
    twice = (AutoguidanceConfig(weight=2.0), AutoguidanceConfig(weight=3.0))
    by_entry = guide_denoiser(main, twice, (near, far))
    expected = Autoguidance(Autoguidance(main, near, 2.0), far, 3.0)
    assert torch.equal(by_entry(x, sigma, labels), expected(x, sigma, labels))
    settings = (GradientConfig(weight=2.0), AutoguidanceConfig(weight=2.0))
    by_kind = guide_denoiser(main, settings, {"autoguidance": far, "gradient": main.class_log_prob})
    expected = Autoguidance(Gradient(main, main.class_log_prob, 2.0), far, 2.0)
    assert torch.equal(by_kind(x, sigma, labels), expected(x, sigma, labels))


def test_interval_needs_something_to_limit():
    with pytest.raises(ValueError, match="wrap a guided denoiser"):
        Interval(two_classes(), 0.1, 1.0)
    with pytest.raises(ValueError, match="sigma_lo < sigma_hi"):
        Interval(ClassifierFree(two_classes(), 2.0), 1.0, 0.1)


def test_an_image_without_a_finite_gradient_stays_unguided():
    def log_prob(x, sigma, labels):
        return x.sum((1, 2, 3)) * torch.tensor([1.0, torch.inf])[labels]

    plain = GaussianDenoiser((1, 2, 2), std=1.0)
    x, sigma = torch.ones(2, 1, 2, 2), torch.ones(2)
    guided = Gradient(plain, log_prob, 1.0)(x, sigma, torch.tensor([0, 1]))
    assert guided.isfinite().all()
    assert torch.equal(guided[1], plain(x, sigma)[1])
    assert torch.allclose(guided[0], plain(x, sigma)[0] + 1)
