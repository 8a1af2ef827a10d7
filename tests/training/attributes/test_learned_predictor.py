"""A predictor of 200 labelled points steers a mixture; one of shuffled labels does not."""

from pathlib import Path
from runpy import run_path

import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.generate import generate
from sampling.guidance.marginal import MarginalConfig
from training.attributes.predictor import fit
from training.config import NoiseConfig

MEANS = torch.tensor([[[[-1.0]], [[0.5]]], [[[1.0]], [[-0.5]]]], dtype=torch.float64)
DATA = GaussianMixtureDenoiser(MEANS, 0.2, [0.9, 0.1], [0, 1])
NAMES = ("often", "rare")
Eyes = run_path(str(Path(__file__).with_name("eyes.py")))["Eyes"]


class Learned:
    names = NAMES

    def __init__(self, predictor):
        self.predictor, self.prior = predictor, predictor.prior.double()

    def log_probs(self, x, sigma, labels=None):
        return self.predictor.log_probs(Eyes(), x.float(), sigma.float()).double()

    def log_ratio(self, shares):
        return self.predictor.log_ratio(shares)


def rare_share(values, clean, unlabelled=None):
    fitted = fit(Eyes(), clean.float(), values, NAMES, NoiseConfig(), unlabelled=unlabelled)
    predictor = fitted.predictor
    guided = MarginalConfig(target={"often": 0.5, "rare": 0.5}).wrap(DATA, Learned(predictor))
    sampler = SamplerConfig(solver="heun", grid="karras", steps=12, sigma_max=20.0)
    drawn = generate(guided, sampler, 0, range(512))
    return float((drawn[:, 0] > 0).double().mean())


@pytest.fixture(scope="module")
def labelled():
    """200 points of which exactly a tenth are rare, for chance would shift what is drawn."""
    clean, values = DATA.sample(2000, torch.Generator().manual_seed(0))
    rows = torch.cat([(values == v).nonzero()[:n, 0] for v, n in ((0, 180), (1, 20))])
    return clean[rows], values[rows]


def test_two_hundred_labels_are_enough_to_even_out_a_mixture(labelled):
    clean, values = labelled
    assert abs(rare_share(values, clean) - 0.5) < 0.1


def test_a_bank_of_unlabelled_points_comes_nearer(labelled):
    clean, values = labelled
    others, _ = DATA.sample(1000, torch.Generator().manual_seed(2))
    assert abs(rare_share(values, clean, others.float()) - 0.5) < 0.05


def test_shuffled_labels_leave_the_shares_where_they_were(labelled):
    clean, values = labelled
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(1))
    assert rare_share(values[order], clean) < 0.2
