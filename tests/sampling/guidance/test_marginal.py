"""Guidance to wanted shares, against the denoiser of a mixture whose shares are those."""

import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.generate import generate
from sampling.guidance.gradient import Gradient
from sampling.guidance.marginal import LikelierByTarget, MarginalConfig
from sampling.guidance.table import guide_denoiser

MEANS = torch.tensor([[[[-1.0, 0.5]]], [[[1.0, -0.5]]]], dtype=torch.float64)
TARGET = {"often": 0.5, "rare": 0.5}
SIGMAS = (0.01, 0.1, 0.5, 2.0, 20.0)


def mixture(often):
    return GaussianMixtureDenoiser(MEANS, 0.2, [often, 1 - often], [0, 1])


class Exact:
    """What a mixture says of its own classes."""

    names = ("often", "rare")
    calls = 0

    def __init__(self, data):
        self.data, self.prior = data, data.log_weights.exp()

    def log_probs(self, x, sigma, labels=None):
        Exact.calls += 1
        classes = [torch.full((len(x),), value) for value in (0, 1)]
        return torch.stack([self.data.class_log_prob(x, sigma, one) for one in classes], 1)


def points(sigma):
    noise = torch.randn(64, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    clean, _ = mixture(0.5).sample(64, torch.Generator().manual_seed(1))
    return clean + sigma * noise, torch.full((64,), sigma, dtype=torch.float64)


def largest_error(guided, wanted):
    return max(float((guided(*points(s)) - wanted(*points(s))).abs().max()) for s in SIGMAS)


def test_it_is_the_denoiser_of_the_reweighted_mixture():
    data = mixture(0.9)
    guided = MarginalConfig(target=TARGET).wrap(data, Exact(data))
    assert largest_error(guided, mixture(0.5)) < 1e-10
    assert largest_error(data, mixture(0.5)) > 0.1
    wrong = Gradient(data, LikelierByTarget(Exact(data), TARGET, None), 1.0)
    wrong.weight = -1.0
    assert largest_error(wrong, mixture(0.5)) > 0.1


def test_a_predictor_of_chosen_images_takes_the_shares_of_the_data():
    data, balanced = mixture(0.9), Exact(mixture(0.5))
    source = {"often": 0.9, "rare": 0.1}
    guided = MarginalConfig(target={"often": 0.3, "rare": 0.7}, source=source).wrap(data, balanced)
    assert largest_error(guided, mixture(0.3)) < 1e-10
    without = MarginalConfig(target={"often": 0.3, "rare": 0.7}).wrap(data, balanced)
    assert largest_error(without, mixture(0.3)) > 0.1


def test_the_shares_that_are_there_change_nothing():
    data = mixture(0.9)
    guided = MarginalConfig(target={"often": 0.9, "rare": 0.1}).wrap(data, Exact(data))
    assert largest_error(guided, data) < 1e-12


def test_all_of_one_value_is_the_conditional_denoiser():
    data = mixture(0.9)
    guided = MarginalConfig(target={"rare": 1.0}).wrap(data, Exact(data))
    rare = torch.ones(64, dtype=torch.int64)
    assert largest_error(guided, lambda x, sigma: data(x, sigma, rare)) < 1e-10


def test_weight_0_asks_nobody_and_changes_no_bit():
    data, before = mixture(0.9), Exact.calls
    guided = MarginalConfig(target=TARGET, weight=0.0).wrap(data, Exact(data))
    assert torch.equal(guided(*points(0.5)), data(*points(0.5)))
    assert Exact.calls == before


def shares(guided_by):
    sampler = SamplerConfig(solver="heun", grid="karras", steps=24, sigma_max=20.0)
    data = mixture(0.9)
    request = generate(Wrapped(data, guided_by), sampler, 0, range(1024))
    return float((request[..., 0] > 0).float().mean())


def Wrapped(data, guided_by):
    return data if guided_by is None else Gradient(data, guided_by(data), 1.0)


def test_samples_have_the_wanted_shares_and_those_of_a_clean_classifier_have_not():
    def noise_aware(data):
        return LikelierByTarget(Exact(data), TARGET, None)

    def clean(data):
        """The same, but of what is seen in the denoised image: the classifier of clean images."""

        def log_prob(x, sigma, labels):
            denoised = data(x, sigma)
            return noise_aware(data)(denoised, torch.full_like(sigma, 1e-3), labels)

        return log_prob

    assert abs(shares(None) - 0.1) < 0.03
    assert abs(shares(noise_aware) - 0.5) < 0.05
    assert shares(clean) < 0.25


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": {"often": 0.5, "rare": 0.4}}, "add up to 0.9"),
        ({"target": {"often": 1.5, "rare": -0.5}}, "less than or equal to 1"),
        ({"target": {}}, "at least 1 item"),
    ],
)
def test_shares_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MarginalConfig(**settings)


def test_unknown_values_and_missing_predictors_are_refused():
    data = mixture(0.9)
    with pytest.raises(ValueError, match=r"unknown value of the attribute 'rar'.*rare"):
        MarginalConfig(target={"often": 0.5, "rar": 0.5}).wrap(data, Exact(data))
    with pytest.raises(ValueError, match="asks for 'rare', which the source never has"):
        MarginalConfig(target=TARGET, source={"often": 1.0}).wrap(data, Exact(data))
    with pytest.raises(ValueError, match="needs an attribute predictor"):
        guide_denoiser(data, [MarginalConfig(target=TARGET)])
