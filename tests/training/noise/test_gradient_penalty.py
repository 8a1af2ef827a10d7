"""The penalty on the denoiser's derivatives: its size, its bias on Gaussian data, its gradient."""

import runpy
from pathlib import Path

import pytest
import torch

from foundation.workers import World
from models.config import ModelConfig
from models.denoiser import Denoiser
from pipelines.params import load_params
from training.loop import train
from training.noise.config import NoiseConfig
from training.objectives import denoising_terms

SMALL_RUNS = runpy.run_path(str(Path(__file__).parents[1] / "small_runs.py"))
COUNT = 20_000


def normal(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def of_scale(scale, penalty, deviation, level):
    """Mean plain loss of D(y) = scale y on Gaussian data, with its penalty, without weights."""
    network = Denoiser((1, 2, 2), 0, ModelConfig(channels=8, channel_mult=(1,))).double()
    network.log_variance = lambda sigma: torch.zeros_like(sigma)
    images, noise, probe = (normal(COUNT, 1, 2, 2, seed=seed) for seed in range(3))
    sigma = torch.full((COUNT,), level, dtype=torch.float64)
    terms = (network, deviation * images, torch.full((COUNT,), -1), sigma, noise)
    loss, plain, _ = denoising_terms(*terms, lambda x, *_: scale * x, penalty=penalty, probe=probe)
    weight = (level**2 + 0.25) / (0.5 * level) ** 2
    return loss.mean() / weight, plain.mean() / weight


def best_scale(penalty, deviation, level):
    """Where the mean loss is least; it is a parabola of the scale."""
    slopes = []
    for at in (0.0, 0.3):
        scale = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        loss, _ = of_scale(scale, penalty, deviation, level)
        slopes += torch.autograd.grad(loss, scale)
    return (0.3 * slopes[0] / (slopes[0] - slopes[1])).item()


def test_the_best_scale_of_gaussian_data():
    """s^2 / (s^2 + sigma^2 + lambda): a bias, that of so much further noise."""
    deviation, level = 0.5, 0.7
    free = best_scale(0.0, deviation, level)
    assert free == pytest.approx(0.25 / 0.74, rel=0.02)
    for penalty in (0.01, 0.2):
        biased = best_scale(penalty, deviation, level)
        assert biased / free == pytest.approx(0.74 / (0.74 + penalty), rel=0.005)


def test_the_plain_loss_is_told_without_it():
    with_penalty = of_scale(torch.tensor(0.3, dtype=torch.float64), 0.2, 0.5, 0.7)
    without = of_scale(torch.tensor(0.3, dtype=torch.float64), 0.0, 0.5, 0.7)
    assert torch.equal(with_penalty[1], without[1])
    excess = with_penalty[0] - without[0]
    assert excess.item() == pytest.approx(0.2 * 0.3**2, rel=0.05)


def test_a_network_with_every_layer():
    """Against the matrix of derivatives itself; and it moves every weight."""
    torch.manual_seed(0)
    config = ModelConfig(channels=8, channel_mult=(1, 2), blocks=1, attention_resolutions=(4,))
    network = Denoiser((1, 4, 4), 0, config).double()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 0:
                parameter.fill_(1.0)
    image, noise, sigma = normal(1, 1, 4, 4), normal(1, 1, 4, 4, seed=1), torch.tensor([0.5])
    sigma, labels = sigma.double(), torch.tensor([-1])
    noisy = image + sigma * noise
    matrix = torch.autograd.functional.jacobian(lambda x: network(x, sigma, labels), noisy)
    expected = matrix.square().sum().item() / 16
    total, weight = 0.0, (0.25 + 0.25) / 0.25**2
    for number in range(16):  # the unit vectors take the place of random ones: their sum is exact
        probe = torch.zeros(16, dtype=torch.float64)
        probe[number] = 1
        given = (network, image, labels, sigma, noise)
        loss, plain, u = denoising_terms(*given, penalty=1.0, probe=probe.view(1, 1, 4, 4))
        total += ((loss - u) * u.exp() - plain).item() / weight
    assert total == pytest.approx(expected, rel=1e-9)
    network.zero_grad()
    (loss - plain / u.exp()).sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in without if not name.startswith("uncertainty")], without


def test_micro_batches_change_nothing_but_rounding(digits, tmp_path):
    """A probe belongs to its image slot, and not to its place in a batch."""
    whole = SMALL_RUNS["settings"](0.048)
    whole = whole.model_copy(update={"noise": NoiseConfig(gradient_penalty=0.05)})
    train(whole, digits, tmp_path / "whole", World())
    parts = whole.model_copy(update={"micro_batch": 6})
    train(parts, digits, tmp_path / "parts", World())
    found, expected = (SMALL_RUNS["final"](tmp_path / name) for name in ("parts", "whole"))
    SMALL_RUNS["assert_same"](found, expected, rtol=1e-4, atol=1e-5)
    plain = SMALL_RUNS["settings"](0.048)
    train(plain, digits, tmp_path / "plain", World())
    other = SMALL_RUNS["final"](tmp_path / "plain")[0][SMALL_RUNS["OUTPUT"]]
    assert not torch.allclose(other, expected[0][SMALL_RUNS["OUTPUT"]], rtol=1e-3)


def test_it_goes_not_with_a_compiled_network(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("noise: {gradient_penalty: 0.01}\ntrain: {compile: true}\n")
    with pytest.raises(ValueError, match=r"noise.gradient_penalty: .* train.compile: set one"):
        load_params(params)


def test_it_keeps_old_descriptions():
    assert "gradient_penalty" not in NoiseConfig().model_dump()
