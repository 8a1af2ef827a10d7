"""The transformer: magnitudes, positions, and that what stands on a denoiser works on it."""

import math

import pytest
import torch
from pydantic import ValidationError

from models.backbones.transformer import positions
from models.bands import StackedBands
from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.layers.block_configs import GraphConvConfig, SelfAttentionConfig
from models.layers.low_rank_adapter import GAME, adapter_parameters, switched_on
from models.text_encoders.configs import WordsConfig
from models.weights import save_weights
from sampling.banded import BandedDenoiser
from training.structure.features import DenoiserFeatures

SHAPE = (3, 8, 12)


def config(**changes) -> ModelConfig:
    small = {"channels": 16, "channel_mult": (1,), "blocks": 2, "attention_resolutions": ()}
    blocks = (GraphConvConfig(k=3, width=8), SelfAttentionConfig(heads=2))
    return ModelConfig(
        **small | {"backbone": "transformer", "channels_per_head": 8} | changes,
        structural_blocks=blocks,
    )


def network(shape=SHAPE, classes=3, gain=0.7, **changes) -> Denoiser:
    torch.manual_seed(0)
    denoiser = Denoiser(shape, classes, config(**changes)).eval().requires_grad_(False)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(gain)
    return denoiser


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_any_patch_that_divides(patch):
    denoiser = network(patch=patch)
    x, sigma = torch.randn(3, *SHAPE), torch.tensor([0.01, 1.0, 80.0])
    hidden = denoiser.encode(x, sigma, torch.tensor([0, -1, 2]))
    assert hidden.bottleneck.shape == (3, 16, 8 // patch, 12 // patch)
    out = denoiser.decode(hidden)
    assert out.shape == x.shape and bool(out.isfinite().all())


def test_activations_stay_near_one_through_depth():
    torch.manual_seed(0)
    wide = config(channels=64, blocks=6, channels_per_head=32)
    unet = Denoiser((3, 16, 16), 0, wide).unet
    magnitudes = []
    for block in [*unet.encoder, *unet.structure, unet.middle, *unet.decoder]:
        block.register_forward_hook(
            lambda module, args, out: magnitudes.append(out.square().mean().sqrt().item())
        )
    out = unet.decode(unet.encode(torch.randn(16, 3, 16, 16), torch.randn(16), None))
    assert len(magnitudes) == 15 and not out.any()  # a fresh network's gain is 0
    assert min(magnitudes) > 0.5 and max(magnitudes) < 1.6, magnitudes


def test_positions_differ_and_have_unit_magnitude():
    found = positions(torch.zeros(2, 64, 16, 16, dtype=torch.float64))
    assert found.shape == (1, 64, 16, 16)
    torch.testing.assert_close(found.square().mean(1), torch.ones(1, 16, 16).double())
    rows = found[0].flatten(1).T
    apart = torch.cdist(rows, rows) + 1e3 * torch.eye(256).double()
    assert apart.min() > 0.5
    assert found[0, 0, 3, 5].item() == pytest.approx(math.sqrt(2) * math.sin(3))


def test_tokens_know_their_place():
    """Without positions an image of equal patches would give equal patches."""
    denoiser = network()
    patch = torch.randn(3, 2, 2)
    x = patch.repeat(1, 4, 6)[None]
    out = denoiser(x, torch.ones(1)) - 0.2 * x
    assert (out[..., :2, :2] - out[..., 4:6, 4:6]).abs().max() > 1e-2


def test_every_skip_and_the_bottleneck_count():
    denoiser = network()
    hidden = denoiser.encode(torch.randn(2, *SHAPE), torch.ones(2), None)
    states = [hidden.bottleneck, *hidden.skips]
    for state in states:
        state.requires_grad_()
    denoiser.decode(hidden).square().sum().backward()
    assert len(states) == 3 and all(state.grad.abs().max() > 1e-6 for state in states)


def test_batch_rows_are_independent():
    denoiser, x = network(), torch.randn(5, *SHAPE)
    sigma, labels = torch.rand(5) + 0.1, torch.tensor([0, 1, 2, -1, 0])
    whole = denoiser(x, sigma, labels)
    torch.testing.assert_close(whole[2:3], denoiser(x[2:3], sigma[2:3], labels[2:3]))
    assert (denoiser(x, sigma) - whole)[0].abs().max() > 1e-3


def test_weights_come_back(tmp_path):
    denoiser = network(adapter_rank=2)
    for parameter in adapter_parameters(denoiser, GAME):
        parameter.normal_()
    path = tmp_path / "w.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    loaded = load_denoiser(path)
    x, sigma = torch.randn(2, *SHAPE), torch.ones(2)
    assert torch.equal(loaded(x, sigma), denoiser(x, sigma))
    with switched_on(loaded, GAME):
        assert (loaded(x, sigma) - denoiser(x, sigma)).abs().max() > 1e-3


def test_it_reads_words():
    denoiser = _of_words()
    x, sigma = torch.randn(3, *SHAPE), torch.ones(3)
    out = denoiser(x, sigma, torch.tensor([0, 1, -1]))
    same = denoiser(x[:1].expand(3, -1, -1, -1), sigma, torch.tensor([0, 1, -1]))
    assert bool(out.isfinite().all())
    assert (same[0] - same[1]).abs().max() > 1e-3 and (same[0] - same[2]).abs().max() > 1e-3


def test_features_of_its_first_half():
    psi = DenoiserFeatures(network(), (0.5,))
    assert psi(torch.randn(4, *SHAPE)).shape == (4, 32)


def test_bands_refuse_it():
    with pytest.raises(ValueError, match="backbone is transformer: leave bands out"):
        BandedDenoiser(network(), StackedBands(2))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"channel_mult": (1, 2)}, "one level"),
        ({"attention_resolutions": (4,)}, "every block of a transformer attends"),
        ({"convolution": "separable"}, "belong to backbone unet"),
        ({"residual": False}, "belong to backbone unet"),
        ({"channels": 18}, "18 channels .* must divide by 4"),
    ],
)
def test_settings_that_do_not_fit(changes, told):
    with pytest.raises(ValidationError, match=told):
        config(**changes)


def test_patch_belongs_to_the_transformer():
    with pytest.raises(ValidationError, match="patch belongs to backbone transformer"):
        ModelConfig(patch=4)


def test_patches_that_do_not_divide():
    with pytest.raises(ValueError, match="8x12 pixels cannot be cut into patches of 8"):
        network(patch=8)


def _of_words() -> Denoiser:
    torch.manual_seed(0)
    text = WordsConfig(width=16)
    captions = ("a red hat", "a blue cap")
    denoiser = Denoiser(SHAPE, 2, config(text=text), None, captions).eval().requires_grad_(False)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(0.7)
    return denoiser
