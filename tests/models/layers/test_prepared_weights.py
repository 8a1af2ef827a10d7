"""Weights normalised once give the same numbers, bit for bit, whatever adapter acts."""

import copy

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import add_adapters, switched_on
from models.layers.magnitude_preserving import MPConv
from models.layers.prepared_weights import weights_prepared


@pytest.fixture
def denoiser() -> Denoiser:
    torch.manual_seed(0)
    config = ModelConfig(channels=8, channel_mult=(1, 2), blocks=1, structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 3, config).eval()
    for name in ("one", "two"):
        add_adapters(denoiser, name, 2)
    with torch.no_grad():
        for key, parameter in denoiser.named_parameters():
            if key.endswith("up"):
                parameter.normal_(0, 0.1)
            if key.endswith("gain"):
                parameter.fill_(0.5)
    return denoiser


def images(denoiser: Denoiser, adapter: str | None) -> torch.Tensor:
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), switched_on(denoiser, adapter):
        return denoiser(x, torch.tensor([0.5, 2.0]), torch.tensor([0, 2]))


def test_each_adapter_gives_what_it_gives_without(denoiser):
    names = (None, "one", "two", "one", None)
    plain = [images(denoiser, name) for name in names]
    with weights_prepared([denoiser]):
        prepared = [images(denoiser, name) for name in names]
    assert all(torch.equal(a, b) for a, b in zip(plain, prepared, strict=True))
    assert not torch.equal(plain[0], plain[1]) and not torch.equal(plain[1], plain[2])


def test_a_weight_is_normalised_once_for_each_adapter(denoiser, monkeypatch):
    calls = []
    acting = MPConv._acting
    monkeypatch.setattr(MPConv, "_acting", lambda s, *a: (calls.append(s), acting(s, *a))[1])
    images(denoiser, None)
    once = len(calls)
    with weights_prepared([denoiser]):
        for name in (None, "one", None, "one"):
            images(denoiser, name)
    assert len(calls) == once + 2 * once


def test_weights_may_change_after_the_context(denoiser):
    with weights_prepared([denoiser]):
        before = images(denoiser, None)
    with torch.no_grad():
        denoiser.output_conv_weight.neg_()
    assert not torch.equal(images(denoiser, None), before)
    with weights_prepared([denoiser]):
        assert not torch.equal(images(denoiser, None), before)


def test_an_inner_context_and_an_error_leave_what_the_outer_one_holds(denoiser):
    layer = denoiser.unet.output
    with weights_prepared([denoiser]):
        images(denoiser, None)
        held = layer.prepared
        with pytest.raises(KeyError), weights_prepared([denoiser]):
            raise KeyError
        assert layer.prepared is held and held
    assert layer.prepared is None


def test_a_copy_made_inside_belongs_to_no_context(denoiser):
    with weights_prepared([denoiser]):
        before = images(denoiser, None)
        copied = copy.deepcopy(denoiser)
    with torch.no_grad():
        copied.output_conv_weight.neg_()
    assert not torch.equal(images(copied, None), before)


def test_the_gradient_of_the_image_passes(denoiser):
    """Guidance differentiates the denoiser at its input while weights are prepared."""
    x = torch.randn(2, 1, 8, 8)

    def gradient() -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        (found,) = torch.autograd.grad(denoiser(leaf, torch.ones(2)).square().sum(), leaf)
        return found

    plain = gradient()
    with weights_prepared([denoiser]):
        assert torch.allclose(gradient(), plain) and torch.allclose(gradient(), plain)
