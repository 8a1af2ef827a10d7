"""The adapter: off it is not there, on it is, and either way the weights are one file."""

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.layers.low_rank_adapter import AdaptedDenoiser, LowRank, adapter_parameters, switched_on
from models.transfer import initialise_from
from models.weights import save_weights
from sampling.config import SamplerConfig
from sampling.generate import generate


def make(rank=4, seed=0):
    torch.manual_seed(seed)
    config = ModelConfig(channels=16, blocks=1, channels_per_head=16, adapter_rank=rank)
    denoiser = Denoiser((1, 8, 8), 3, config)
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
    return denoiser.eval()


def trained(rank=4):
    denoiser = make(rank)
    with torch.no_grad():
        for module in denoiser.modules():
            if isinstance(module, LowRank):
                module.up.normal_(0, 0.3)
    return denoiser


X, SIGMA, LABELS = torch.randn(3, 1, 8, 8), torch.tensor([0.1, 1.0, 9.0]), torch.tensor([0, 1, -1])


def test_the_plain_denoiser_is_bitwise_what_it_was():
    without, fresh, with_one = make(0), make(), trained()
    expected = without(X, SIGMA, LABELS)
    assert torch.equal(fresh(X, SIGMA, LABELS), expected)
    assert torch.equal(AdaptedDenoiser(fresh)(X, SIGMA, LABELS), expected)  # zero at first
    adapted = AdaptedDenoiser(with_one)(X, SIGMA, LABELS)
    assert (adapted - expected).abs().max() > 1e-3
    assert torch.equal(with_one(X, SIGMA, LABELS), expected)  # and off again afterwards


def test_an_error_inside_switches_off_too():
    denoiser = trained()
    with pytest.raises(RuntimeError), switched_on(denoiser):
        raise RuntimeError
    assert not any(m.active for m in denoiser.modules() if isinstance(m, LowRank))


def test_magnitudes_are_preserved_with_the_adapter_on():
    denoiser = trained()
    plain, adapted = denoiser(X, SIGMA), AdaptedDenoiser(denoiser)(X, SIGMA)
    assert 0.5 < float((adapted.std() / plain.std()).detach()) < 2


def test_weights_on_disk_and_as_a_start(tmp_path):
    denoiser = trained()
    save_weights(tmp_path / "a.safetensors", denoiser.state_dict(), describe(denoiser))
    loaded = load_denoiser(tmp_path / "a.safetensors")
    expected = AdaptedDenoiser(denoiser)(X, SIGMA, LABELS)
    assert torch.equal(AdaptedDenoiser(loaded)(X, SIGMA, LABELS), expected)
    # A start without adapters, or with others, leaves fresh ones.
    save_weights(tmp_path / "b.safetensors", make(0, seed=5).state_dict(), describe(make(0)))
    target = make()
    remade = initialise_from(target, tmp_path / "b.safetensors")
    assert remade and all(".adapter." in name for name in remade)
    assert torch.equal(target(X, SIGMA, LABELS), make(0, seed=5)(X, SIGMA, LABELS))
    assert initialise_from(make(0), tmp_path / "a.safetensors") == []


def test_a_sampler_switches_it_on():
    denoiser = trained()
    plain, adapted = (
        generate(denoiser, SamplerConfig(steps=3, adapter=on), 0, range(2)) for on in (False, True)
    )
    assert (plain - adapted).abs().max() > 1e-3
    expected = generate(AdaptedDenoiser(denoiser), SamplerConfig(steps=3), 0, range(2))
    assert torch.equal(adapted, expected)


def test_a_denoiser_without_one_is_one_clear_error():
    assert adapter_parameters(make(0)) == []
    with pytest.raises(ValueError, match=r"model\.adapter_rank"):
        generate(make(0), SamplerConfig(steps=3, adapter=True), 0, range(2))
