"""The network in training, bearing its averaged weights for a while."""

from pathlib import Path

import pytest
import torch

from foundation.workers import World
from models.config import ModelConfig
from pipelines.params import load_params
from training.averaged_weights import averaged
from training.methods.build import build_method
from training.structure.config import StructureConfig


@pytest.fixture
def settings():
    base = load_params(Path(__file__).parents[2] / "params.yaml").run_settings()
    model = ModelConfig(
        channels=8, blocks=1, attention_resolutions=(), structural_blocks=(), adapter_rank=2
    )
    structure = StructureConfig(
        fakes="deployed", start_kimg=0.0, every=1, width=8, k=3, statistics_images=32, batch_size=16
    )
    return base.model_copy(update={"model": model, "structure": structure})


@pytest.fixture
def method(settings, digits):
    """A method whose denoiser's averages are half of its weights, plus one."""
    method = build_method(settings, digits, World())
    player = method.players["denoiser"]
    for sigma_rel in player.averages.averages:
        for mean, parameter in zip(
            player.averages.averages[sigma_rel], player.network.parameters(), strict=True
        ):
            mean.copy_(parameter.detach() / 2 + 1)
    return method


def test_bears_the_averages_and_then_its_own_again(method):
    player = method.players["denoiser"]
    parameters = dict(player.network.named_parameters())
    before = {name: p.detach().clone() for name, p in parameters.items()}
    with averaged(player, 0.1):
        for name, parameter in player.network.named_parameters():
            assert parameter is parameters[name]
            expected = before[name] if ".adapters." in name else before[name] / 2 + 1
            assert torch.equal(parameter, expected), name
    for name, parameter in player.network.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_an_error_inside_leaves_the_weights_as_they_were(method):
    player = method.players["denoiser"]
    before = player.network.output_conv_weight.detach().clone()
    with pytest.raises(KeyboardInterrupt), averaged(player, 0.1):
        raise KeyboardInterrupt
    assert torch.equal(player.network.output_conv_weight, before)


def test_an_adapter_is_played_upon_the_averages(method, monkeypatch):
    """And a game that moves the denoiser itself upon the weights that it moves."""
    seen, denoiser = [], method.players["denoiser"].network
    own = denoiser.output_conv_weight.detach().clone()
    denoiser.output_conv_weight.grad = torch.zeros_like(own)

    def play(denoiser, batch, micro, at_output):
        seen.append(denoiser.output_conv_weight.detach().clone())
        return [None for _ in denoiser.parameters()], {}

    monkeypatch.setattr(method.game, "play", play)
    for adapted in (True, False):
        monkeypatch.setattr(method.game, "adapted", adapted)
        method.extra("denoiser", range(128))
    assert torch.equal(seen[0], own / 2 + 1) and torch.equal(seen[1], own)
