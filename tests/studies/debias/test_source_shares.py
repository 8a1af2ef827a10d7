"""Shares of unlabelled images, found by a predictor whose prior is wrong."""

import numpy as np
import pytest
import torch

from studies.debias.source_shares import likeliest_shares, source_shares

TRUE = 0.1
"""Share of the images around 1; the others lie around -1."""
SPREAD = 0.8
"""Of the images of a class: so wide that the predictor errs."""


class Told:
    """p(value | x) of two Gaussians, exact for a prior that the images do not have."""

    names = ("low", "high")

    def __init__(self, high: float):
        self.prior = torch.tensor([1 - high, high])

    def log_probs(self, x, sigma, labels=None):
        variance = SPREAD**2 + sigma[:, None] ** 2
        logs = -((x.flatten(1) - torch.tensor([-1.0, 1.0])) ** 2) / (2 * variance)
        return (logs + self.prior.log()).log_softmax(1)


def images(count: int = 20_000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    high = torch.arange(count) < TRUE * count
    noise = SPREAD * torch.randn(count, generator=generator)
    return torch.where(high, 1.0, -1.0).add(noise).view(-1, 1, 1, 1)


def test_the_share_is_found_whatever_the_prior_is():
    for prior in (0.05, 0.16, 0.5):
        attribute = Told(prior)
        found = source_shares(attribute, images())
        assert abs(found["high"] - TRUE) < 0.01 and abs(sum(found.values()) - 1) < 1e-9
        sigma = torch.full((20_000,), 0.05)
        answered = attribute.log_probs(images(), sigma).exp().mean(0)[1]
        assert prior == 0.05 or abs(float(answered) - TRUE) > 0.015  # the mean answer is not it


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="label fewer"):
        source_shares(Told(0.5), images(0))


def test_no_other_shares_make_the_images_likelier():
    generator = np.random.default_rng(0)
    prior = np.array([0.2, 0.5, 0.3])
    probs = generator.dirichlet([1.0, 2.0, 0.5], 300)
    found = likeliest_shares(probs, prior)
    places = np.linspace(0.0025, 0.9975, 200)  # brute force
    grid = np.array([[a, b, 1 - a - b] for a in places for b in places if a + b < 1])
    likelihoods = np.log(grid @ (probs / prior).T).sum(1)
    np.testing.assert_allclose(found, grid[likelihoods.argmax()], atol=0.01)
