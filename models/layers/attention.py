"""Cosine attention over tokens, magnitude preserving."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.exchange import Exchange
from models.layers.magnitude_preserving import MPConv, mp_sum, pixel_norm

BALANCE = 0.3  # share of the new branch in every residual sum (EDM2, section 2.3)


class CosineAttention(nn.Module):
    """Self-attention over the pixels of [B, C, H, W]; queries, keys, values are normalised vectors.

    The logits are cosines times sqrt(A / heads), so they cannot grow with the weights
    (EDM2, section 2.2, config G).

    Args:
        channels: C.
        heads: of the attention; they divide A.
        width: A, the numbers of a query of all heads together; None: C.
    """

    def __init__(self, channels: int, heads: int, width: int | None = None):
        super().__init__()
        self.width = channels if width is None else width
        if self.width % heads:
            raise ValueError(
                f"attention of {self.width} channels cannot be split into {heads} heads: "
                "choose a number of heads that divides the channels"
            )
        self.heads = heads
        self.qkv = MPConv(channels, 3 * self.width, 1)
        self.project = MPConv(self.width, channels, 1)
        self.exchange: Exchange | None = None
        """Where images are cut into bands (models/bands); None: they are whole."""

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        qkv = self.qkv(x).reshape(batch, self.heads, self.width // self.heads, 3, height * width)
        qkv = pixel_norm(qkv, dim=2)  # [B, heads, A/heads, 3, HW]
        if self.exchange is None:
            q, k, v = qkv.permute(3, 0, 1, 4, 2)  # each [B, heads, HW, A/heads]
        else:  # queries of the own band, keys and values of the whole image
            q = qkv[:, :, :, 0].transpose(2, 3)
            kv = self.exchange.gather(self, qkv[:, :, :, 1:], -1)
            k, v = kv.permute(3, 0, 1, 4, 2)
        y = F.scaled_dot_product_attention(q, k, v)
        y = y.transpose(2, 3).reshape(batch, self.width, height, width)
        return mp_sum(x, self.project(y), BALANCE)
