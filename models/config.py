"""Frozen settings of the denoiser and of its averages; importing them does not import torch."""

from collections.abc import Sequence
from operator import not_
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foundation.bounds import NETWORK_WIDTH, AtMost
from foundation.settings_base import Settings, left_out_at
from models.layers.block_configs import (
    BLOCKS,
    StructuralBlockConfig,
)
from models.text_encoders.configs import TextEncoderConfig

PositiveInt = Annotated[int, Field(ge=1)]
MAX_SIGMA_REL = 12**-0.5
"""Relative standard deviation of the uniform average, which no EMA length reaches."""
SigmaRel = Annotated[float, Field(gt=0, lt=MAX_SIGMA_REL)]


class ModelConfig(Settings):
    """Size and shape of the network, and what it is conditioned on."""

    backbone: Annotated[Literal["unet", "transformer"], left_out_at("unet")] = "unet"
    """unet (EDM2); transformer, of tokens that are patches of the image: it has one level of
    `channels` x channel_mult, `blocks` blocks before its bottleneck and as many after it
    (docs/convergence.md)."""
    patch: Annotated[
        int, Field(ge=1), AtMost(64, "the image would be a single token"), left_out_at(2)
    ] = 2
    """Side of a transformer's patches, in pixels or latents."""
    channels: Annotated[int, Field(ge=4, le=1024)] = 48
    """Channels at full resolution."""
    channel_mult: Annotated[
        tuple[Annotated[PositiveInt, AtMost(64, "a wider network fits into no memory")], ...],
        Field(min_length=1, max_length=8),
    ] = (1, 2)
    """Channels of each level as a multiple of `channels`; each further level halves the image."""
    blocks: Annotated[int, Field(ge=1, le=16)] = 2
    """Residual blocks per level."""
    convolution: Annotated[Literal["plain", "multi_scale", "separable"], left_out_at("plain")] = (
        "plain"
    )
    """Of residual blocks: plain (3x3); multi_scale (3x3, 3x3 over every second pixel and 1x1, side
    by side); separable (a kernel for each channel, then 1x1)."""
    residual: Annotated[bool, left_out_at(True)] = True
    """Add each residual block's input to its output; false is a network of plain convolutions, for
    comparison."""
    attention_resolutions: Annotated[
        tuple[PositiveInt, ...], AtMost(16, "there are no more levels")
    ] = (4,)
    """Image sides (pixels) at which blocks attend over space."""
    channels_per_head: Annotated[PositiveInt, NETWORK_WIDTH] = 32
    """Channels of one attention head."""
    structural_blocks: Annotated[
        tuple[StructuralBlockConfig, ...], AtMost(16, "each is a layer of the network")
    ] = (
        BLOCKS["graph_conv"](kind="graph_conv"),
        BLOCKS["self_attention"](kind="self_attention"),
    )
    """Blocks at the bottleneck, which relate its pixels, in order."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout inside residual blocks."""
    class_conditional: bool = True
    """Condition on the data set's labels, where it has any."""
    label_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of training images whose label is hidden, which classifier-free guidance needs."""
    text: Annotated[TextEncoderConfig | None, Field(exclude_if=not_)] = None
    """Labels are captions, which the network reads as text (docs/text.md); null: they are classes.
    It is left out of what is stored where it is null."""
    adapter_rank: Annotated[int, Field(ge=0, le=1024)] = 0
    """Rank of a second set of weights on every layer, which the structure game trains in place of
    the denoiser's own and samplers with `adapter: true` switch on; 0: none."""
    sigma_data: Annotated[float, Field(gt=0), AtMost(1000, "pixels span [-1, 1]")] = 0.5
    """Expected standard deviation of the data, in units where pixels span [-1, 1]."""

    @model_validator(mode="after")
    def _of_backbone(self) -> Self:
        if self.backbone == "unet":
            if self.patch != 2:
                raise ValueError("patch belongs to backbone transformer: leave it out")
            widths = [self.channels * mult for mult in self.channel_mult]
            if self.convolution == "multi_scale" and any(width % 4 for width in widths):
                raise ValueError(
                    f"convolution: multi_scale splits channels in quarters, and the levels have "
                    f"{', '.join(map(str, widths))}: make channels a multiple of 4"
                )
            return self
        if len(self.channel_mult) > 1:
            raise ValueError(
                "channel_mult: a transformer has one level: give one number, such as [1]"
            )
        if self.attention_resolutions or (self.text is not None and self.text.resolutions):
            raise ValueError(
                "attention_resolutions, text.resolutions: every block of a transformer attends: "
                "leave the latter out and set the former to []"
            )
        if self.convolution != "plain" or not self.residual:
            raise ValueError("convolution and residual belong to backbone unet: leave them out")
        if self.bottleneck_channels % 4:
            raise ValueError(
                f"channels: a transformer's {self.bottleneck_channels} channels (channels x "
                "channel_mult) must divide by 4, for its positions"
            )
        return self

    @property
    def bottleneck_channels(self) -> int:
        """Channels where the structural blocks stand."""
        return self.channels * self.channel_mult[-1]

    @property
    def divisor(self) -> int:
        """The sides of images have to be multiples of it."""
        if self.backbone == "transformer":
            return self.patch
        return 2 ** (len(self.channel_mult) - 1)

    def sides(self, side: int) -> list[int]:
        """Side of each level's feature maps, from images of `side` pixels or latents."""
        if self.backbone == "transformer":
            return [side // self.patch]
        return [side >> level for level in range(len(self.channel_mult))]

    def attended(self, sides: Sequence[int]) -> Sequence[int]:
        """The sides at which blocks attend over space, of those of the levels."""
        return sides if self.backbone == "transformer" else self.attention_resolutions

    def not_in_bands(self) -> str | None:
        """Why images cannot be cut into bands for this network; None: they can."""
        if self.backbone != "unet":
            return f"bands cut images for a U-Net, and model.backbone is {self.backbone}"
        if self.convolution == "multi_scale":
            return "bands exchange one row, and model.convolution multi_scale sees two"
        return None


class EMAConfig(Settings):
    """Which averages are kept while training, and which are made afterwards."""

    tracked: tuple[SigmaRel, SigmaRel] = (0.05, 0.10)
    """The two EMA lengths (sigma_rel) averaged during training; they must differ."""
    snapshots: Annotated[int, Field(ge=2, le=1024)] = 16
    """How many times during training both averages are stored, evenly spaced in images."""
    lengths: Annotated[
        tuple[SigmaRel, ...],
        Field(min_length=1),
        AtMost(256, "each is a weights file, and is evaluated with each sampler"),
    ] = (0.05, 0.07, 0.10, 0.14, 0.20)
    """The EMA lengths reconstructed after training and evaluated."""
