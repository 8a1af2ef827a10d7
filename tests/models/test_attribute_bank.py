"""The bank of a predictor: Bayes' rule on its images, when it is asked, how shares are reached."""

import pytest
import torch
import torch.nn.functional as F

from models.analytic import GaussianMixtureDenoiser
from models.attribute_bank import AttributeBank, block_side
from models.attribute_predictor import (
    AttributePredictor,
    load_attribute_predictor,
    save_attribute_predictor,
)
from models.weights import WeightsError

MEANS = torch.tensor([[[[-1.0, 0.5]]], [[[1.0, -0.5]]]], dtype=torch.float64)
DATA = GaussianMixtureDenoiser(MEANS, 0.3, [0.9, 0.1], [0, 1])


def bank_of(count, seed=0):
    clean, values = DATA.sample(count, torch.Generator().manual_seed(seed))
    return AttributeBank(clean, F.one_hot(values, 2).float())


def noisy(sigma, count=2000):
    generator = torch.Generator().manual_seed(5)
    clean, values = DATA.sample(count, generator)
    x = clean + sigma * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    return x, torch.full((count,), sigma, dtype=torch.float64), values


def test_it_is_bayes_rule_upon_its_images():
    bank = bank_of(50)
    x, sigma, _ = noisy(0.4, 20)
    square = (x.flatten(1)[:, None] - bank.images.double()[None]).square().sum(2)
    weights = (-square / (2 * 0.4**2)).softmax(1)
    assert torch.allclose(
        bank.log_probs(x, sigma).exp().double(), weights @ bank.probs.double(), atol=1e-4
    )


@pytest.mark.parametrize("sigma", [0.3, 1.0, 10.0])
def test_it_is_near_bayes_rule_of_the_data(sigma):
    x, sigmas, values = noisy(sigma)
    own = float(F.nll_loss(bank_of(2000).log_probs(x, sigmas), values))
    bayes = -float(DATA.class_log_prob(x, sigmas, values).mean())
    assert own < bayes + 0.02
    few = float(F.nll_loss(bank_of(20).log_probs(*noisy(0.05)[:2]), values))
    assert few > -float(DATA.class_log_prob(*noisy(0.05)[:2], values).mean()) + 0.01


def test_its_gradient_is_that_of_its_log_probability():
    bank = bank_of(40)
    bank.images, bank.probs = bank.images.double(), bank.probs.double()
    x, sigma, _ = noisy(0.5, 3)
    assert torch.autograd.gradcheck(lambda at: bank.log_probs(at, sigma), x.requires_grad_())


def test_trust_rises_with_noise_around_the_distance_of_neighbours():
    bank = AttributeBank(torch.arange(10.0).view(10, 1, 1, 1) * 3, torch.full((10, 2), 0.5))
    assert float(bank.nearest) == pytest.approx(3.0)
    levels = torch.tensor([0.1, 1.2, 1.7, 2.4, 80.0])
    trust = bank.trust(levels)
    assert trust[[0, 1]].tolist() == [0, 0] and trust[[3, 4]].tolist() == [1, 1]
    assert float(trust[2]) == pytest.approx(0.5, abs=0.01)


def test_copies_are_no_neighbours():
    places = torch.tensor([0.0, 0.0, 0.0, 7.0, 7.0]).view(5, 1, 1, 1)
    assert float(AttributeBank(places, torch.full((5, 2), 0.5)).nearest) == 7.0
    assert float(AttributeBank(places[:3], torch.full((3, 2), 0.5)).nearest) == 1.0


def test_large_images_are_averaged_and_so_is_their_noise():
    assert [block_side(*sides) for sides in ((16, 16), (32, 32), (64, 48), (20, 20), (17, 17))] == [
        *(1, 2, 4, 2, 1)
    ]
    images = torch.randn(30, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    probs = F.one_hot(torch.arange(30) % 2, 2).float()
    small = torch.nn.functional.avg_pool2d(images, 2)
    x = images[:4] + 0.8
    level = torch.full((4,), 0.8)
    wide, narrow = AttributeBank(images, probs), AttributeBank(small, probs)
    assert wide.images.shape == (30, 256)
    pooled = torch.nn.functional.avg_pool2d(x, 2)
    assert torch.equal(wide.log_probs(x, level), narrow.log_probs(pooled, level / 2))
    assert torch.equal(wide.trust(level), narrow.trust(level / 2))


def test_doubtful_values_are_weighted_until_the_shares_are_right():
    generator = torch.Generator().manual_seed(1)
    rare = torch.rand(4000, generator=generator).square() * 0.5  # p(rare), never sure
    probs = torch.stack([1 - rare, rare], 1)
    bank = AttributeBank(torch.randn(4000, 1, 2, 2, generator=generator), probs)

    def reached(log_ratio):
        weights = probs.double() @ log_ratio.exp()
        return float((weights * rare).sum() / weights.sum())

    wanted = torch.tensor([0.75, 0.25])
    assert reached(bank.log_ratio(wanted)) == pytest.approx(0.25, abs=2e-4)
    plain = (wanted / bank.prior).double().log()
    assert reached(plain) < 0.22  # what re-weighting as if the values were known comes to
    assert torch.allclose(bank.log_ratio(bank.prior), torch.zeros(2).double(), atol=1e-6)
    with pytest.raises(ValueError, match="tells the values too badly apart"):
        bank.log_ratio(torch.tensor([0.1, 0.9]))


def test_known_values_are_weighted_by_shares_over_prior():
    ratio = bank_of(1000).log_ratio(torch.tensor([0.5, 0.5])).exp()
    prior = bank_of(1000).prior.double()
    assert float(ratio[1] / ratio[0]) == pytest.approx(float(prior[0] / prior[1]), rel=1e-4)


def test_a_predictor_keeps_its_bank_in_its_file(tmp_path):
    predictor = AttributePredictor((2, 1, 1), ("often", "rare"))
    predictor.bank = bank_of(30)
    path = tmp_path / "predictor.safetensors"
    save_attribute_predictor(path, predictor, "0" * 64, {})
    loaded, _ = load_attribute_predictor(path)
    x, sigma, _ = noisy(2.0, 5)
    assert loaded.bank is not None and not loaded.bank.images.requires_grad
    assert torch.equal(loaded.bank.log_probs(x, sigma), predictor.bank.log_probs(x, sigma))
    assert torch.equal(loaded.bank.trust(sigma), predictor.bank.trust(sigma))


def test_a_bank_that_is_not_the_described_one_is_refused(tmp_path):
    predictor = AttributePredictor((2, 1, 1), ("often", "rare"))
    predictor.bank = bank_of(30)
    path = tmp_path / "predictor.safetensors"
    tensors = predictor.state_dict()
    predictor.state_dict = lambda: tensors | {"bank.images": tensors["bank.images"][:7]}
    save_attribute_predictor(path, predictor, "0" * 64, {})
    with pytest.raises(WeightsError, match="its bank is"):
        load_attribute_predictor(path)
