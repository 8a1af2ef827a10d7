"""Convolutions of residual blocks: magnitude, what each output sees, and the network with them."""

import pytest
import torch
from pydantic import ValidationError

from models.bands import StackedBands
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.convolutions import CONVOLUTIONS, MultiScaleConv, SeparableConv
from sampling.banded import BandedDenoiser
from training.optimizers.matrices import hidden_matrices

SHAPE = (3, 16, 8)


def network(**changes) -> Denoiser:
    torch.manual_seed(0)
    config = ModelConfig(
        **{"channels": 8, "channel_mult": (1, 2), "blocks": 1, "attention_resolutions": ()}
        | changes,
        structural_blocks=(),
    )
    denoiser = Denoiser(SHAPE, 0, config).double().eval().requires_grad_(False)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(0.7)
    return denoiser


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_magnitude_inside_is_kept(kind):
    torch.manual_seed(0)
    layer = CONVOLUTIONS[kind](32, 64)
    inside = layer(torch.randn(64, 32, 12, 12))[:, :, 3:-3, 3:-3]
    assert inside.square().mean().sqrt().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("layer", "channels", "reach"),
    [
        (MultiScaleConv(4, 8), slice(0, 4), {(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)}),
        (MultiScaleConv(4, 8), slice(4, 6), {(r, c) for r in (-2, 0, 2) for c in (-2, 0, 2)}),
        (MultiScaleConv(4, 8), slice(6, 8), {(0, 0)}),
        (SeparableConv(4, 8), slice(0, 8), {(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)}),
    ],
)
def test_what_an_output_sees(layer, channels, reach):
    x = torch.randn(1, 4, 9, 9, requires_grad=True)
    layer(x)[0, channels, 4, 4].sum().backward()
    seen = x.grad[0].abs().amax(0).nonzero() - 4
    assert {tuple(place) for place in seen.tolist()} == reach


def test_a_depthwise_kernel_sees_its_own_channel_alone():
    layer = SeparableConv(4, 8).depthwise
    x = torch.randn(1, 4, 5, 5, requires_grad=True)
    layer(x)[0, 2].sum().backward()
    assert x.grad[0].abs().sum((1, 2)).nonzero().flatten().tolist() == [2]
    assert layer.weight.shape == (4, 1, 3, 3)


def test_weights_of_each_kind():
    """9 C C' of a plain one; 7 C C'; 9 C + C C'."""
    counts = {
        kind: sum(p.numel() for p in make(16, 32).parameters())
        for kind, make in CONVOLUTIONS.items()
    }
    assert counts == {"plain": 4608, "multi_scale": 3584, "separable": 656}


@pytest.mark.parametrize("kind", ["multi_scale", "separable"])
def test_a_network_of_it_learns_and_keeps_its_rows(kind):
    denoiser = network(convolution=kind, adapter_rank=2).float().train().requires_grad_(True)
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=0.02)
    x = torch.randn(8, *SHAPE)
    losses = []
    for _ in range(6):
        loss = (denoiser(x, torch.ones(8)) - x.sign()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        denoiser.normalize_weights()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for layer in denoiser.unet.encoder[0].conv0.modules():
        if hasattr(layer, "weight"):
            rms = layer.weight.detach().flatten(1).square().mean(1).sqrt()
            torch.testing.assert_close(rms, torch.ones_like(rms), atol=1e-5, rtol=0)


def test_kernels_of_single_channels_are_no_hidden_matrices():
    denoiser = network(convolution="separable")
    kernels = {id(m.weight) for m in denoiser.modules() if getattr(m, "groups", 1) > 1}
    assert kernels and not kernels & {id(m.parameter) for m in hidden_matrices(denoiser)}


@pytest.mark.parametrize("count", [2, 4])
def test_bands_of_separable_convolutions_are_exact(count):
    denoiser = network(convolution="separable")
    x = torch.randn(2, *SHAPE, dtype=torch.float64)
    sigma = torch.tensor([0.5, 3.0]).double()
    banded = BandedDenoiser(denoiser, StackedBands(count))
    assert (banded(x, sigma) - denoiser(x, sigma)).abs().max() < 1e-12


def test_bands_refuse_kernels_that_see_two_rows():
    with pytest.raises(ValueError, match="multi_scale sees two: leave bands out"):
        BandedDenoiser(network(convolution="multi_scale"), StackedBands(2))


def test_channels_that_have_no_quarters():
    with pytest.raises(ValidationError, match="levels have 6, 12: make channels a multiple of 4"):
        network(convolution="multi_scale", channels=6)


def test_without_residuals():
    """The network is another function, and no layer is left without use."""
    plain, residual = network(residual=False), network()
    x, sigma = torch.randn(2, *SHAPE).double(), torch.ones(2).double()
    assert (plain(x, sigma) - residual(x, sigma)).abs().max() > 1e-3
    plain.requires_grad_(True)
    plain(x, sigma).square().sum().backward()
    unused = [n for n, p in plain.named_parameters() if p.grad is None]
    assert all(name.startswith("uncertainty") for name in unused)


def test_old_settings_keep_their_description():
    """So that runs of before are still known."""
    dumped = ModelConfig().model_dump(mode="json")
    assert not {"backbone", "patch", "convolution", "residual"} & dumped.keys()
