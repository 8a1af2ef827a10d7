"""The bank of a predictor: Bayes' rule on its images, when it is asked, how shares are reached."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from models.analytic import GaussianMixtureDenoiser
from models.attribute_bank import BETWEEN, SIDE, AttributeBank, block_side
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
    sides = ((16, 16), (32, 32), (64, 48), (20, 20), (17, 17), (99, 99), (64, 2), (1, 2))
    assert [block_side(*one) for one in sides] == [1, 2, 4, 2, 2, 7, 2, 1]
    for height, width in sides:
        bank = AttributeBank(torch.randn(3, 1, height, width), torch.full((3, 2), 0.5))
        assert bank.images.shape[1] <= SIDE * max(SIDE, height // int(bank.factor))
    images = torch.randn(30, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    probs = F.one_hot(torch.arange(30) % 2, 2).float()
    small = torch.nn.functional.avg_pool2d(images, 2)
    x = images[:4] + 0.8
    level = torch.full((4,), 12.0)  # no image decides alone
    wide, narrow = AttributeBank(images, probs), AttributeBank(small, probs)
    assert wide.images.shape == (30, 256)
    pooled = torch.nn.functional.avg_pool2d(x, 2)
    assert torch.equal(wide.log_probs(x, level), narrow.log_probs(pooled, level / 2))
    assert not torch.allclose(wide.log_probs(x, level), narrow.log_probs(pooled, level), atol=0.01)
    between = 1.2 * level * float(narrow.nearest) / 12
    assert torch.equal(wide.trust(between), narrow.trust(between / 2))
    assert 0 < float(wide.trust(between)[0]) < 1 == float(narrow.trust(between)[0])


class Eyes:
    """A denoiser whose bottleneck is the image, and that counts its calls."""

    def __init__(self):
        self.calls = 0

    def encode(self, x, sigma, labels=None):
        self.calls += 1
        return SimpleNamespace(bottleneck=x.float(), sigma=sigma)


def test_a_predictor_asks_the_bank_above_and_the_hidden_state_below():
    torch.manual_seed(0)
    predictor, eyes = AttributePredictor((2, 1, 1), ("often", "rare", "never")), Eyes()
    torch.nn.init.normal_(predictor.last.weight)
    images = torch.randn(30, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    predictor.bank = bank = AttributeBank(images, torch.rand(30, 3).softmax(1))
    low, high = (share * float(bank.nearest) for share in BETWEEN)
    x = torch.randn(4, 2, 1, 1, generator=torch.Generator().manual_seed(1))

    def at(level):
        return predictor.log_probs(eyes, x, torch.full((4,), level))

    def hidden(level):
        return predictor(Eyes().encode(x, torch.full((4,), level))).log_softmax(1)

    assert torch.equal(at(0.9 * low), hidden(0.9 * low)) and eyes.calls == 1
    assert torch.equal(at(1.1 * high), bank.log_probs(x, torch.full((4,), 1.1 * high)))
    assert eyes.calls == 1  # the network is not asked where the bank alone answers
    middle = (low * high) ** 0.5
    both = (hidden(middle) + bank.log_probs(x, torch.full((4,), middle))) / 2
    assert torch.allclose(at(middle), both.log_softmax(1), atol=1e-5)
    levels = torch.tensor([0.9 * low, middle, 1.1 * high, 80.0])
    mixed = predictor.log_probs(eyes, x, levels)
    for row, level in enumerate(levels.tolist()):
        assert torch.allclose(mixed[row], at(level)[row], atol=1e-5)


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
