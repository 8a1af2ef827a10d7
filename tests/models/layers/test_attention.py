"""Self-attention over pixels, against its formula written head by head."""

import math

import pytest
import torch

from models.layers.attention import BALANCE, CosineAttention


def by_hand(layer, x, heads, width):
    """The formula of the class docstring for one image [C, H, W], in loops over heads."""
    channels, each = len(x), width // heads
    tokens = x.reshape(channels, -1)  # [C, N]
    unit = lambda w: w / w.norm(dim=1, keepdim=True)  # noqa: E731
    qkv = unit(layer.qkv.weight.flatten(1)) @ tokens  # rows: head, number, (q, k, v)
    out = torch.empty(width, tokens.shape[1], dtype=x.dtype)
    for head in range(heads):
        rows = qkv[3 * each * head : 3 * each * (head + 1)].reshape(each, 3, -1)
        q, k, v = (part / part.square().mean(0).sqrt() for part in rows.unbind(1))
        weights = (q.T @ k / math.sqrt(each)).softmax(1)
        out[head * each : (head + 1) * each] = v @ weights.T
    update = unit(layer.project.weight.flatten(1)) @ out
    mixed = (1 - BALANCE) * tokens + BALANCE * update
    return (mixed / math.hypot(1 - BALANCE, BALANCE)).reshape(x.shape)


@torch.no_grad()
@pytest.mark.parametrize("width", [None, 6, 24])
def test_attention_of_any_width_is_the_formula(width):
    torch.manual_seed(0)
    layer = CosineAttention(12, 3, width).double()
    x = torch.randn(2, 12, 2, 4, dtype=torch.float64)
    expected = torch.stack([by_hand(layer, one, 3, width or 12) for one in x])
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=2e-3)  # EPSILON of the norms
    assert layer.qkv.weight.shape == (3 * (width or 12), 12, 1, 1)
    assert layer.project.weight.shape == (12, width or 12, 1, 1)


@torch.no_grad()
def test_the_width_of_the_channels_is_the_same_network_bit_for_bit():
    layers = []
    for width in (None, 12):
        torch.manual_seed(0)
        layers.append(CosineAttention(12, 3, width))
    first, second = (layer.state_dict() for layer in layers)
    assert list(first) == list(second) == ["qkv.weight", "project.weight"]
    assert all(torch.equal(first[name], second[name]) for name in first)
    x = torch.randn(2, 12, 3, 3)
    assert torch.equal(layers[0](x), layers[1](x))


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="attention of 10 channels cannot be split into 4 heads"):
        CosineAttention(12, 4, 10)
