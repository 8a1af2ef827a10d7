"""Blocks at the bottleneck that relate its spatial tokens: model.structural_blocks lists them.

A kind of block is a layer, `forward([B, C, H, W]) -> [B, C, H, W]`, in a file of its own, and here
a class of settings that makes it, with one entry in BLOCKS. The settings are apart from the layers,
which are imported when they are made, so that reading params does not import torch.
"""

from operator import not_
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from foundation.settings_base import Settings
from foundation.settings_by_kind import ByKind

if TYPE_CHECKING:
    from torch import nn


class BlockConfig(Settings):
    """Settings of one kind of block, which has a `kind: Literal[...]` of its own."""

    kind: str
    """Which block this is."""

    def refusal(self, channels: int, side: int) -> str | None:
        """Why it cannot stand at a bottleneck of so many channels and pixels a side, or None.

        The end of an error message that begins with the block's YAML path.
        """
        return None

    def make(self, channels: int) -> "nn.Module":
        """The layer for feature maps [B, channels, H, W]."""
        raise NotImplementedError


class GraphConvConfig(BlockConfig):
    """Graph convolution over the nearest tokens in feature space."""

    kind: Literal["graph_conv"] = "graph_conv"
    """Needs a bottleneck of more than one pixel."""
    k: Annotated[int, Field(ge=1, le=256)] = 4
    """Neighbours of each token."""
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of the messages between them."""

    def refusal(self, channels: int, side: int) -> str | None:
        """Refuses a bottleneck of one pixel, which has no neighbours."""
        if side > 1:
            return None
        return (
            ": graph_conv relates the pixels of the bottleneck, and it has one only: leave it out, "
            "or give model.channel_mult fewer levels"
        )

    def make(self, channels: int) -> "nn.Module":
        from models.layers.graph_conv import GraphConv

        return GraphConv(channels, self.k, self.width)


class SelfAttentionConfig(BlockConfig):
    """Self-attention between all tokens."""

    kind: Literal["self_attention"] = "self_attention"
    """Needs a width that its heads divide."""
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    """Heads that share the width evenly."""
    width: Annotated[Annotated[int, Field(ge=1, le=4096)] | None, Field(exclude_if=not_)] = None
    """Channels that the heads share; null: those of the bottleneck. It is left out of what is
    stored where it is null."""

    def refusal(self, channels: int, side: int) -> str | None:
        """Refuses a width that the heads cannot share evenly."""
        if (self.width or channels) % self.heads == 0:
            return None
        if self.width is not None:
            return f".heads: {self.heads} does not divide the width {self.width}: change one"
        return (
            f".heads: {self.heads} does not divide the {channels} channels of the bottleneck "
            "(channels x last of channel_mult)"
        )

    def make(self, channels: int) -> "nn.Module":
        from models.layers.attention import CosineAttention

        return CosineAttention(channels, self.heads, self.width)


BLOCKS: dict[str, type[BlockConfig]] = {
    "graph_conv": GraphConvConfig,
    "self_attention": SelfAttentionConfig,
}

StructuralBlockConfig = Annotated[BlockConfig, ByKind("structural block", BLOCKS)]
"""One entry of model.structural_blocks, read by the class that its kind names."""
