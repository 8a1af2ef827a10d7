"""Blocks at the bottleneck that relate its spatial tokens: model.structural_blocks lists them.

A new kind is one file with a class `forward([B, C, H, W]) -> [B, C, H, W]`, its settings in
models/layers/block_configs.py, and one entry in BLOCKS.
"""

from collections.abc import Callable

from torch import nn

from models.layers.attention import CosineAttention
from models.layers.block_configs import StructuralBlockConfig
from models.layers.graph_conv import GraphConv

BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "graph_conv": GraphConv,
    "self_attention": CosineAttention,
}
"""Kind -> block, made as BLOCKS[kind](channels, **the other settings)."""


def make_structural_block(channels: int, config: StructuralBlockConfig) -> nn.Module:
    """The block of `config.kind` for feature maps [B, channels, H, W]."""
    return BLOCKS[config.kind](channels, **config.model_dump(exclude={"kind"}))
