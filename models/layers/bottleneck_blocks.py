"""Blocks at the bottleneck that relate its spatial tokens: a list in params.yaml chooses them.

A new block is one class with `forward([B, C, H, W]) -> [B, C, H, W]` and one entry in the two
mappings at the end of this file.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.settings_base import Settings
from models.layers.attention import BALANCE, CosineAttention
from models.layers.magnitude_preserving import MPConv, mp_silu, mp_sum, pixel_norm
from models.neighbours import nearest


class GraphConvConfig(Settings):
    """Graph convolution over the k nearest tokens in feature space."""

    kind: Literal["graph_conv"] = "graph_conv"
    k: Annotated[int, Field(ge=1, le=256)] = 4
    width: Annotated[int, Field(ge=1, le=4096)] = 64


class SelfAttentionConfig(Settings):
    """Self-attention between all tokens."""

    kind: Literal["self_attention"] = "self_attention"
    heads: Annotated[int, Field(ge=1, le=64)] = 4


StructuralBlockConfig = Annotated[
    GraphConvConfig | SelfAttentionConfig, Field(discriminator="kind")
]


class GraphConv(nn.Module):
    """Edge convolution on the kNN graph of each image's own tokens.

    m_i = mean_j silu(W [h_i, h_j - h_i]) over the k nearest tokens j in feature space (Wang et
    al., DGCNN, arXiv 1801.07829, Eq. 7, with a mean in place of the maximum), projected back and
    added with the balance of every residual sum. The graph itself carries no gradient.
    """

    def __init__(self, channels: int, config: GraphConvConfig):
        super().__init__()
        self.k = config.k
        self.message = MPConv(2 * channels, config.width)
        self.project = MPConv(config.width, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # [B, N, C]
        index = nearest(
            tokens.detach().to(torch.promote_types(x.dtype, torch.float32)), self.k
        )  # [B, N, K]
        rows = torch.arange(batch, device=x.device)[:, None, None]
        neighbours = tokens[rows, index]  # [B, N, K, C]
        centres = tokens[:, :, None].expand_as(neighbours)
        edges = pixel_norm(torch.cat([centres, neighbours - centres], -1), dim=-1)
        messages = mp_silu(self.message(edges)).mean(2)  # [B, N, width]
        update = self.project(pixel_norm(messages, dim=-1))
        update = update.transpose(1, 2).reshape(batch, channels, height, width)
        return mp_sum(x, update, BALANCE)


def make_structural_block(channels: int, config: GraphConvConfig | SelfAttentionConfig):
    """The block that a config names."""
    if isinstance(config, GraphConvConfig):
        return GraphConv(channels, config)
    return CosineAttention(channels, config.heads)
