"""Cross-attention: magnitudes, what it sees of a text, and its order."""

import math

import pytest
import torch

from models.layers.cross_attention import CrossAttention, NullToken, Text
from models.layers.magnitude_preserving import MPEmbedding, normalize_weights

CHANNELS, HEADS, WIDTH = 32, 2, 12


def layer():
    torch.manual_seed(0)
    return CrossAttention(CHANNELS, HEADS, WIDTH).double(), NullToken(WIDTH).double()


def unit(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X = unit(3, CHANNELS, 4, 4)
TOKENS = unit(3, 5, WIDTH, seed=2)
MASK = torch.tensor([[True] * 5, [True, True, False, False, False], [False] * 5])


def by_hand(attention: CrossAttention, x, rows):
    """The layer on one image [C, H, W] and its visible tokens [T, E], head by head."""

    def norm(v):
        return v / v.square().mean(-1, keepdim=True).sqrt()

    def weight(conv):
        rows = conv.weight.flatten(1)
        return rows / (rows.norm(dim=1, keepdim=True) + 1e-4 * rows.shape[1] ** 0.5)

    pixels, each = x.flatten(1).T, CHANNELS // HEADS
    q, kv = pixels @ weight(attention.query).T, norm(rows) @ weight(attention.key_value).T
    out = []
    for head in range(HEADS):
        part = slice(head * each, (head + 1) * each)
        qh, kh, vh = (
            norm(q[:, part]),
            norm(kv[:, :CHANNELS][:, part]),
            norm(kv[:, CHANNELS:][:, part]),
        )
        out.append(torch.softmax(qh @ kh.T / math.sqrt(each), 1) @ vh)
    y = torch.cat(out, 1) @ weight(attention.project).T
    return ((0.7 * pixels + 0.3 * y) / math.hypot(0.7, 0.3)).T.reshape(x.shape)


def test_it_is_attention_to_the_visible_tokens_and_the_null_token():
    attention, null = layer()
    out = attention(X, null(TOKENS, MASK))
    first = null.row.weight.detach()
    for image in range(3):
        rows = torch.cat([first, TOKENS[image][MASK[image]]])
        torch.testing.assert_close(
            out[image], by_hand(attention, X[image], rows), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("length", [5, 16, 77])
def test_padding_changes_nothing_whatever_it_holds(length):
    attention, null = layer()
    tokens = torch.full((3, length, WIDTH), math.nan, dtype=torch.float64)
    tokens[:, :5] = TOKENS.where(MASK[..., None], math.nan)
    mask = torch.zeros(3, length, dtype=torch.bool)
    mask[:, :5] = MASK
    out = attention(X, null(tokens, mask))
    torch.testing.assert_close(out, attention(X, null(TOKENS, MASK)), rtol=0, atol=1e-12)


def test_the_null_token_alone_gives_numbers_and_gradients_and_adds_one_vector_everywhere():
    attention, null = layer()
    out = attention(X, null(TOKENS, torch.zeros_like(MASK)))
    added = (out * math.hypot(0.7, 0.3) - 0.7 * X) / 0.3
    torch.testing.assert_close(added, added[:1, :, :1, :1].expand_as(added))
    out.square().sum().backward()
    assert null.row.weight.grad.isfinite().all() and null.row.weight.grad.abs().max() > 0


def test_the_order_of_tokens_does_not_matter_and_their_values_do():
    attention, null = layer()
    order = torch.tensor([3, 1, 4, 0, 2])
    out = attention(X, null(TOKENS, MASK))
    permuted = attention(X, null(TOKENS[:, order], MASK[:, order]))
    torch.testing.assert_close(permuted, out, rtol=0, atol=1e-12)
    assert (attention(X, null(-TOKENS, MASK)) - out)[0].abs().max() > 1e-2


@pytest.mark.parametrize("tokens", [0, 1, 16, 77])
def test_the_output_has_unit_magnitude(tokens):
    attention = CrossAttention(128, 4, 64)
    text = NullToken(64)(torch.randn(8, tokens, 64), torch.ones(8, tokens, dtype=torch.bool))
    assert 0.9 < attention(torch.randn(8, 128, 8, 8), text).square().mean().sqrt() < 1.1


def test_rows_of_a_table_have_unit_magnitude_before_and_after_an_optimiser_step():
    table = MPEmbedding(6, WIDTH)
    with torch.no_grad():
        table.weight.mul_(torch.arange(1.0, 7)[:, None])
    index = torch.arange(6)
    before = table(index)
    torch.testing.assert_close(before.square().mean(1), torch.ones(6))
    normalize_weights(table)
    torch.testing.assert_close(table.weight.detach(), before, rtol=1e-5, atol=1e-5)


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="divides the channels"):
        CrossAttention(30, 4, 8)
    assert Text(TOKENS, MASK).tokens is TOKENS
