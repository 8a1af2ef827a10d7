"""Cross-attention from pixels to the tokens of a text, magnitude preserving."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.attention import BALANCE
from models.layers.magnitude_preserving import MPConv, MPEmbedding, mp_sum, pixel_norm


@dataclass(frozen=True)
class Text:
    """The tokens that one batch attends to; the first one is always visible."""

    tokens: Tensor
    """[B, T, E], rows of unit root mean square."""
    visible: Tensor
    """bool [B, T], true in column 0, so that no row of attention is empty."""


class NullToken(nn.Module):
    """Puts one learned token before those of every text.

    Where nothing is asked for it is all that attention sees. So every row of attention has a
    column to look at, and a text of padding alone gives finite numbers.
    """

    def __init__(self, width: int):
        super().__init__()
        self.row = MPEmbedding(1, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Text:
        """tokens [B, T, E], mask bool [B, T] -> a text of T + 1 tokens."""
        batch = len(tokens)
        null = self.row(torch.zeros(batch, 1, dtype=torch.int64, device=tokens.device))
        shown = torch.where(mask[..., None], tokens, 0)  # padding may hold anything
        rows = torch.cat([null.to(tokens.dtype), pixel_norm(shown, dim=-1)], 1)
        return Text(rows, torch.cat([mask.new_ones(batch, 1), mask], 1))


class CrossAttention(nn.Module):
    """The pixels of [B, C, H, W] attend to the tokens of a text [B, T, E].

    As in CosineAttention, queries, keys and values are vectors of unit root mean square, so the
    logits are cosines times sqrt(C / heads). Tokens have no order but that which their encoder
    gave them: attention is the same for any permutation of them.

    Args:
        channels: C.
        heads: of the attention; they divide C.
        width: E.
    """

    def __init__(self, channels: int, heads: int, width: int):
        super().__init__()
        if channels % heads:
            raise ValueError(
                f"attention of {channels} channels cannot be split into {heads} heads: "
                "choose a number of heads that divides the channels"
            )
        self.heads = heads
        self.query = MPConv(channels, channels, 1)
        self.key_value = MPConv(width, 2 * channels)
        self.project = MPConv(channels, channels, 1)

    def forward(self, x: Tensor, text: Text) -> Tensor:
        batch, channels, height, width = x.shape
        each = channels // self.heads
        q = self.query(x).reshape(batch, self.heads, each, height * width).transpose(2, 3)
        kv = self.key_value(text.tokens.to(x.dtype))  # [B, T, 2C]
        k, v = kv.reshape(batch, -1, 2, self.heads, each).permute(2, 0, 3, 1, 4)
        q, k, v = (pixel_norm(part, dim=-1) for part in (q, k, v))  # each [B, heads, ., C/heads]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=text.visible[:, None, None])
        y = y.transpose(2, 3).reshape(batch, channels, height, width)
        return mp_sum(x, self.project(y), BALANCE)
