"""The predictor of an attribute, against what Bayes says of a mixture."""

from copy import deepcopy
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.analytic import GaussianMixtureDenoiser
from models.attribute_predictor import (
    AttributeOfImages,
    load_attribute_predictor,
    save_attribute_predictor,
)
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.weights import WeightsError, tensors_hash
from training.attributes.bank import make_bank
from training.attributes.predictor import calibrate, fit, split
from training.config import NoiseConfig

MEANS = torch.tensor([[-0.6, 0.3], [0.6, -0.3]], dtype=torch.float64).view(2, 2, 1, 1)
MIXTURE = GaussianMixtureDenoiser(MEANS, 0.3, [0.8, 0.2], [0, 1])
NAMES = ("often", "rare")
Eyes = run_path(str(Path(__file__).with_name("eyes.py")))["Eyes"]


@pytest.fixture(scope="module")
def fitted():
    clean, values = MIXTURE.sample(400, torch.Generator().manual_seed(0))
    return fit(Eyes(), clean.float(), values, NAMES, NoiseConfig(), steps=600)


def entropies(predictor, sigma):
    """Cross-entropies (nats) of the predictor and of Bayes on fresh data at a noise level."""
    generator = torch.Generator().manual_seed(7)
    clean, values = MIXTURE.sample(4000, generator)
    noisy = clean + sigma * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    levels = torch.full((len(clean),), sigma, dtype=torch.float64)
    own = F.cross_entropy(predictor(Eyes().encode(noisy.float(), levels.float())), values)
    return float(own), -float(MIXTURE.class_log_prob(noisy, levels, values).mean())


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 3.0, 30.0])
def test_it_is_within_two_hundredths_of_a_nat_of_bayes(fitted, sigma):
    own, bayes = entropies(fitted.predictor, sigma)
    assert own < bayes + 0.02
    upside_down, _ = entropies(lambda hidden: -fitted.predictor(hidden), sigma)
    assert upside_down > bayes + 0.1


def test_temperatures_undo_overconfidence(fitted):
    """Logits made eight times as large get temperatures eight times as large, and no worse."""
    sure = deepcopy(fitted.predictor)
    with torch.no_grad():
        for parameter in (sure.last.weight, sure.last.bias, sure.bias.weight):
            parameter.mul_(8.0)
    raw, _ = entropies(lambda hidden: sure.raw(hidden.bottleneck, hidden.sigma), 0.5)
    clean, values = MIXTURE.sample(100, torch.Generator().manual_seed(3))
    calibrate(sure, Eyes(), clean.float(), values, 0)
    ratio = sure.temperatures / fitted.predictor.temperatures
    assert (ratio[3:6] > 4).all() and (ratio[3:6] < 16).all(), ratio  # where errors are made
    own, bayes = entropies(sure, 0.5)
    assert own < bayes + 0.03 < raw - 0.1


def test_its_prior_is_the_share_of_the_labelled_images(fitted):
    assert abs(float(fitted.predictor.prior[1]) - 0.2) < 0.1
    assert len(fitted.cross_entropy) == 8 and fitted.accuracy[0] > 0.9 > fitted.accuracy[-1]


def test_the_same_arguments_give_the_same_weights(fitted):
    clean, values = MIXTURE.sample(400, torch.Generator().manual_seed(0))
    again = fit(Eyes(), clean.float(), values, NAMES, NoiseConfig(), steps=600)
    for name, tensor in fitted.predictor.state_dict().items():
        assert torch.equal(tensor, again.predictor.state_dict()[name]), name


def test_each_value_is_trained_on_and_calibrated_with():
    values = torch.tensor([0] * 9 + [1, 1])
    train, kept = split(values, 0)
    assert set(values[train].tolist()) == set(values[kept].tolist()) == {0, 1}
    assert sorted([*train.tolist(), *kept.tolist()]) == list(range(11))
    with pytest.raises(ValueError, match="'rare' has 1 labelled image"):
        fit(Eyes(), torch.zeros(3, 2, 1, 1), torch.tensor([0, 0, 1]), NAMES, NoiseConfig())


@pytest.mark.parametrize("layers", [1, 3])
def test_it_reads_a_network_and_is_read_back_for_that_one_alone(tmp_path, layers):
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    torch.manual_seed(0)
    denoiser, other = Denoiser((1, 8, 8), 0, config), Denoiser((1, 8, 8), 0, config)
    images, values = torch.randn(8, 1, 8, 8), torch.tensor([0, 1] * 4)
    own = fit(denoiser, images, values, NAMES, NoiseConfig(), steps=3, layers=layers).predictor
    path = tmp_path / "tone.safetensors"
    save_attribute_predictor(path, own, tensors_hash(denoiser.state_dict()), {"images": 8})
    read, denoiser_hash = load_attribute_predictor(path)
    attribute = AttributeOfImages(denoiser, read, denoiser_hash)
    x, sigma = torch.randn(4, 1, 8, 8, requires_grad=True), torch.tensor([0.01, 0.5, 3.0, 80.0])
    logs = attribute.log_probs(x, sigma)
    assert torch.equal(logs, own(denoiser.encode(x, sigma)).log_softmax(1))
    assert torch.allclose(logs.exp().sum(1), torch.ones(4))
    logs[:, 0].sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="is of another denoiser"):
        AttributeOfImages(other, read, denoiser_hash)
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="tone"):
        load_attribute_predictor(path)


def test_it_is_asked_about_states_of_unlabelled_images_whatever_is_drawn():
    """It has learned from these, and its prior is theirs."""
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), 3, config)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            torch.nn.init.constant_(parameter, 0.7)
    images, values = torch.randn(8, 1, 8, 8), torch.tensor([0, 1] * 4)
    own = fit(denoiser, images, values, NAMES, NoiseConfig(), steps=3).predictor
    attribute = AttributeOfImages(denoiser, own, tensors_hash(denoiser.state_dict()))
    x, sigma, labels = torch.randn(3, 1, 8, 8), torch.ones(3), torch.arange(3)
    hidden = [denoiser.encode(x, sigma, one).bottleneck for one in (None, labels)]
    assert not torch.equal(*hidden)
    assert torch.equal(attribute.log_probs(x, sigma, labels), attribute.log_probs(x, sigma))


def test_the_rows_of_a_bank_are_unlabelled_and_fit_in_memory(monkeypatch):
    import training.attributes.bank as module

    candidates, labelled = np.arange(0, 200, 2), np.array([0, 2, 4, 10])

    def rows(count):
        return module.unlabelled_rows(candidates, labelled, count, (1, 4, 4), 1)

    assert len(set(rows(30))) == 30 and not set(rows(30)) & set(labelled)
    assert (rows(30) % 2 == 0).all() and (rows(30) == rows(30)).all()
    assert len(rows(1000)) == 96  # all there are
    monkeypatch.setattr(module, "MOST", 16 * 10)
    assert len(rows(30)) == 10


def test_images_that_calibrate_are_not_in_the_bank():
    clean, values = MIXTURE.sample(40, torch.Generator().manual_seed(5))
    others, _ = MIXTURE.sample(30, torch.Generator().manual_seed(6))
    of = (Eyes(), clean.float(), values, NAMES, NoiseConfig())
    bank = fit(*of, steps=2, unlabelled=others.float()).predictor.bank
    train, kept = split(values, 0)
    assert len(bank.images) == len(train) + 30
    own = clean.float().flatten(1)
    assert (torch.cdist(own[kept], bank.images).min(1).values > 1e-5).all()
    assert torch.equal(bank.images[: len(train)], own[train])
    assert fit(*of, steps=2).predictor.bank is None


def test_a_bank_knows_the_labels_and_asks_the_predictor_for_the_rest(fitted):
    clean, values = MIXTURE.sample(60, torch.Generator().manual_seed(4))
    bank = make_bank(Eyes(), fitted.predictor, clean.float(), values[:20], 0)
    assert torch.equal(bank.probs[:20], F.one_hot(values[:20], 2).float())
    asked = bank.probs[20:]
    assert (asked.max(1).values < 0.999).any() and torch.allclose(asked.sum(1), torch.ones(40))
    assert (asked.argmax(1) == values[20:]).double().mean() > 0.9
    again = make_bank(Eyes(), fitted.predictor, clean.float(), values[:20], 0)
    assert torch.equal(again.probs, bank.probs)
