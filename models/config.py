"""Frozen settings of the denoiser and of its averages; importing them does not import torch."""

from operator import not_
from typing import Annotated

from pydantic import Field

from foundation.bounds import NETWORK_WIDTH, AtMost
from foundation.settings_base import Settings
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
    """Size and shape of the U-Net, and what it is conditioned on."""

    channels: Annotated[int, Field(ge=4, le=1024)] = 48
    """Channels at full resolution."""
    channel_mult: Annotated[
        tuple[Annotated[PositiveInt, AtMost(64, "a wider network fits into no memory")], ...],
        Field(min_length=1, max_length=8),
    ] = (1, 2)
    """Channels of each level as a multiple of `channels`; each further level halves the image."""
    blocks: Annotated[int, Field(ge=1, le=16)] = 2
    """Residual blocks per level."""
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
