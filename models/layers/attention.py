"""Cosine attention over tokens, magnitude preserving."""

import torch.nn.functional as F
from torch import Tensor, nn

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

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        qkv = self.qkv(x).reshape(batch, self.heads, self.width // self.heads, 3, height * width)
        q, k, v = pixel_norm(qkv, dim=2).permute(3, 0, 1, 4, 2)  # each [B, heads, HW, A/heads]
        y = F.scaled_dot_product_attention(q, k, v)
        y = y.transpose(2, 3).reshape(batch, self.width, height, width)
        return mp_sum(x, self.project(y), BALANCE)
