"""Guidance by backward steps, and by the predictor of an attribute as the classifier."""

import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.guidance.backward import Backward, BackwardConfig
from sampling.guidance.gradient import AttributeLogProb, Gradient

MEANS = torch.tensor([[[[-1.0, 0.5]]], [[[1.0, -0.5]]]], dtype=torch.float64)
DATA = GaussianMixtureDenoiser(MEANS, 0.2, [0.9, 0.1], [0, 1])
WISH = torch.tensor([[[0.3, 0.7]]], dtype=torch.float64)
WIDTH = 2.0


class Near:
    """log p(y | x0) of a Gaussian round a wish: -|x0 - WISH|^2 / (2 WIDTH^2)."""

    calls = 0

    def of_clean(self, x0, labels):
        Near.calls += 1
        return -(x0 - WISH.to(x0)).square().flatten(1).sum(1) / (2 * WIDTH**2)


class Broken:
    def of_clean(self, x0, labels):
        bad = torch.tensor([float("nan"), 1.0], dtype=x0.dtype)
        return (x0.flatten(1).sum(1) * bad).log()


def noisy(sigma, count=2):
    noise = torch.randn(count, 1, 1, 2, generator=torch.Generator().manual_seed(0)).double()
    return sigma * noise, torch.full((count,), sigma, dtype=torch.float64)


def test_steps_climb_as_the_closed_form_says():
    x, sigma = noisy(5.0)
    plain = DATA(x, sigma)
    moved = Backward(DATA, Near(), weight=1.0, steps=3, most_change=1e9)(x, sigma)
    share = 1 - (1 - 1 / WIDTH**2) ** 3  # of the way to the wish after three steps
    torch.testing.assert_close(moved, plain + share * (WISH - plain))
    away = Backward(DATA, Near(), weight=-1.0, steps=3, most_change=1e9)(x, sigma)
    assert (away - WISH).norm() > (plain - WISH).norm() > (moved - WISH).norm()


def test_the_change_vanishes_with_the_noise():
    for level in (0.01, 1.0):
        x, sigma = noisy(level)
        plain = DATA(x, sigma)
        moved = Backward(DATA, Near(), weight=100.0, steps=5, most_change=0.3)(x, sigma)
        sizes = (moved - plain).flatten(1).norm(dim=1)
        torch.testing.assert_close(sizes, 0.3 * (plain - x).flatten(1).norm(dim=1))


def test_weight_zero_is_the_denoiser_and_asks_nobody():
    x, sigma = noisy(1.0)
    Near.calls = 0
    assert torch.equal(Backward(DATA, Near(), 0.0, 5, 0.3)(x, sigma), DATA(x, sigma))
    assert Near.calls == 0


def test_an_image_whose_gradient_is_not_finite_is_left_alone():
    x, sigma = noisy(1.0)
    moved = Backward(DATA, Broken(), 1.0, 2, 0.3)(x, sigma)
    plain = DATA(x, sigma)
    assert torch.equal(moved[0], plain[0]) and moved.isfinite().all()


def test_it_needs_a_classifier_of_clean_images():
    with pytest.raises(ValueError, match="asks about clean images"):
        BackwardConfig(weight=1.0).wrap(DATA, lambda x, sigma, labels: x.sum())
    assert BackwardConfig().evaluations(1.0, 2, 1) == 2


class Exact:
    names = ("rare", "often")  # not in the order of the classes

    def log_probs(self, x, sigma, labels=None):
        classes = [torch.full((len(x),), value) for value in (1, 0)]
        return torch.stack([DATA.class_log_prob(x, sigma, one) for one in classes], 1)


def test_gradient_by_the_predictor_is_the_conditional_denoiser():
    guided = Gradient(DATA, AttributeLogProb(Exact(), ("often", "rare")), 1.0)
    for level in (0.1, 1.0, 10.0):
        x, sigma = noisy(level)
        labels = torch.tensor([0, 1])
        torch.testing.assert_close(guided(x, sigma, labels), DATA(x, sigma, labels))
        swapped = guided(x, sigma, 1 - labels)
        assert not torch.allclose(swapped, DATA(x, sigma, labels))


def test_classes_that_are_no_values_are_refused():
    with pytest.raises(ValueError, match="not the class wide"):
        AttributeLogProb(Exact(), ("often", "wide"))
    with pytest.raises(ValueError, match="guidance marginal takes the values by name"):
        AttributeLogProb(Exact(), ())
