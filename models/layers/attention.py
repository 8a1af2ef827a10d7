"""Cosine attention over tokens, magnitude preserving."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.magnitude_preserving import MPConv, mp_sum, pixel_norm

BALANCE = 0.3  # share of the new branch in every residual sum (EDM2, section 2.3)


class CosineAttention(nn.Module):
    """Self-attention over the pixels of [B, C, H, W]; queries, keys, values are normalised vectors.

    The logits are cosines times sqrt(C / heads), so they cannot grow with the weights
    (EDM2, section 2.2, config G).
    """

    def __init__(self, channels: int, heads: int):
        super().__init__()
        if channels % heads:
            raise ValueError(
                f"attention of {channels} channels cannot be split into {heads} heads: "
                "choose a number of heads that divides the channels"
            )
        self.heads = heads
        self.qkv = MPConv(channels, 3 * channels, 1)
        self.project = MPConv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(x).reshape(batch, self.heads, channels // self.heads, 3, height * width)
        q, k, v = pixel_norm(qkv, dim=2).permute(3, 0, 1, 4, 2)  # each [B, heads, HW, C/heads]
        y = F.scaled_dot_product_attention(q, k, v)
        y = y.transpose(2, 3).reshape(batch, channels, height, width)
        return mp_sum(x, self.project(y), BALANCE)
