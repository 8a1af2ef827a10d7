"""Settings of the bottleneck blocks, one class a kind; params.yaml chooses among them by `kind`.

Kept apart from the blocks themselves, so that reading settings does not import torch. Each
class has `refusal(channels, side)`: given the channels and the side in pixels of the bottleneck, it
returns None, or the end of an error message that begins with the block's YAML path.
"""

from typing import Annotated, Literal

from pydantic import Field

from foundation.settings_base import Settings


class GraphConvConfig(Settings):
    """Graph convolution over the k nearest tokens in feature space."""

    kind: Literal["graph_conv"] = "graph_conv"
    k: Annotated[int, Field(ge=1, le=256)] = 4
    width: Annotated[int, Field(ge=1, le=4096)] = 64

    def refusal(self, channels: int, side: int) -> str | None:
        """Refuses a bottleneck of one pixel, which has no neighbours."""
        if side > 1:
            return None
        return (
            ": graph_conv relates the pixels of the bottleneck, and it has one only: leave it out, "
            "or give model.channel_mult fewer levels"
        )


class SelfAttentionConfig(Settings):
    """Self-attention between all tokens."""

    kind: Literal["self_attention"] = "self_attention"
    heads: Annotated[int, Field(ge=1, le=64)] = 4

    def refusal(self, channels: int, side: int) -> str | None:
        """Refuses channels that the heads cannot share evenly."""
        if channels % self.heads == 0:
            return None
        return (
            f".heads: {self.heads} does not divide the {channels} channels of the bottleneck "
            "(channels x last of channel_mult)"
        )


StructuralBlockConfig = Annotated[
    GraphConvConfig | SelfAttentionConfig, Field(discriminator="kind")
]
