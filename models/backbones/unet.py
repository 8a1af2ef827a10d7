"""The U-Net F of the denoiser, in magnitude-preserving layers.

Source of the architecture: EDM2 (arXiv 2312.02696), config G, figure 21.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.base import CLIP, Backbone, Encoded
from models.condition import Condition
from models.config import ModelConfig
from models.layers.attention import BALANCE, CosineAttention
from models.layers.convolutions import CONVOLUTIONS
from models.layers.cross_attention import CrossAttention, Text
from models.layers.magnitude_preserving import MPConv, mp_cat, mp_silu, mp_sum, pixel_norm
from models.layers.slot_dropout import SlotDropout


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, modulated by the embedding; optional resampling and attention.

    Attention over pixels comes first, then that to the tokens of a text.

    Encoder blocks normalise their input per pixel, decoder blocks do not (EDM2, figure 21).
    convolution: a name in CONVOLUTIONS. residual: whether the input is added to what the
    convolutions give.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        embedding: int,
        *,
        encoder: bool,
        resample: str = "keep",
        heads: int = 0,
        text_heads: int = 0,
        text_width: int = 0,
        dropout: float = 0.0,
        convolution: str = "plain",
        residual: bool = True,
    ):
        super().__init__()
        self.encoder, self.resample, self.dropout = encoder, resample, SlotDropout(dropout)
        self.residual = residual
        skips = in_channels != channels and (encoder or residual)
        self.skip = MPConv(in_channels, channels, 1) if skips else None
        make = CONVOLUTIONS[convolution]
        self.conv0 = make(channels if encoder else in_channels, channels)
        self.modulation = MPConv(embedding, channels)
        self.modulation_gain = nn.Parameter(torch.zeros([]))
        self.conv1 = make(channels, channels)
        self.attention = CosineAttention(channels, heads) if heads else None
        self.cross_attention = (
            CrossAttention(channels, text_heads, text_width) if text_heads else None
        )

    def forward(self, x: Tensor, embedding: Tensor, text: Text | None = None) -> Tensor:
        if self.resample == "down":
            x = F.avg_pool2d(x, 2)
        elif self.resample == "up":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        if self.encoder:
            if self.skip is not None:
                x = self.skip(x)
            x = pixel_norm(x)
        y = self.conv0(mp_silu(x))
        scale = self.modulation(embedding, gain=self.modulation_gain) + 1.0  # [B, C]
        y = mp_silu(y * scale[:, :, None, None].to(y.dtype))
        y = self.conv1(self.dropout(y))
        if not self.encoder and self.skip is not None:
            x = self.skip(x)
        x = mp_sum(x, y, BALANCE) if self.residual else y
        if self.attention is not None:
            x = self.attention(x)
        if self.cross_attention is not None:
            assert text is not None, "a network with text needs a text, if of the null token alone"
            x = self.cross_attention(x, text)
        return x.clamp(-CLIP, CLIP)


class UNet(Backbone):
    """F(x; c_noise, condition): [B, C, H, W] -> [B, C, H, W], of unit magnitude at initialisation.

    Args:
        image_shape: (C, H, W).
        condition_width: E, the length of a condition's vector, and of its tokens where the config
            has text; 0: unconditional.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], condition_width: int, config: ModelConfig
    ):
        image_channels, height, width = image_shape
        factor = 2 ** (len(config.channel_mult) - 1)
        if height % factor or width % factor:
            raise ValueError(
                f"images of {height}x{width} pixels cannot be halved {len(config.channel_mult) - 1}"
                f" times: make dataset.resolution a multiple of {factor}, or shorten "
                "model.channel_mult"
            )
        widths = [config.channels * m for m in config.channel_mult]
        embedding = max(widths)
        super().__init__(condition_width, widths[0], embedding, config.text is not None)
        text_at: tuple[int, ...] = ()
        if config.text is not None:
            text_at = config.text.resolutions or config.attention_resolutions

        def heads(level: int) -> dict[str, Any]:
            count = max(1, widths[level] // config.channels_per_head)
            side = height >> level
            return {
                "heads": count if side in config.attention_resolutions else 0,
                "text_heads": count if side in text_at else 0,
            }

        shared: dict[str, Any] = {"embedding": embedding, "dropout": config.dropout}
        shared["text_width"] = condition_width
        shared |= {"convolution": config.convolution, "residual": config.residual}
        # One constant channel beside the image stands in for biases (EDM2, appendix B.1).
        self.input = MPConv(image_channels + 1, widths[0], 3)
        self.encoder, skip_widths = nn.ModuleList(), [widths[0]]
        channels = widths[0]
        for level, width_here in enumerate(widths):
            if level:
                self.encoder.append(
                    ResidualBlock(channels, channels, encoder=True, resample="down", **shared)
                )
                skip_widths.append(channels)
            for _ in range(config.blocks):
                self.encoder.append(
                    ResidualBlock(channels, width_here, encoder=True, **heads(level), **shared)
                )
                channels = width_here
                skip_widths.append(channels)

        self.structure = nn.ModuleList(block.make(channels) for block in config.structural_blocks)

        self.middle = nn.ModuleList(
            ResidualBlock(channels, channels, encoder=False, **middle_heads, **shared)
            for middle_heads in (heads(len(widths) - 1), {})
        )
        self.decoder, self.takes_skip = nn.ModuleList(), []
        for level in reversed(range(len(widths))):
            if level < len(widths) - 1:
                self.decoder.append(
                    ResidualBlock(channels, channels, encoder=False, resample="up", **shared)
                )
                self.takes_skip.append(False)
            for _ in range(config.blocks + 1):
                joined = channels + skip_widths.pop()
                channels = widths[level]
                self.decoder.append(
                    ResidualBlock(joined, channels, encoder=False, **heads(level), **shared)
                )
                self.takes_skip.append(True)
        assert not skip_widths
        self.output = MPConv(channels, image_channels, 3)
        self.output_gain = nn.Parameter(torch.zeros([]))

    def encode(self, x: Tensor, noise_level: Tensor, condition: Condition | None) -> Encoded:
        """Down to the bottleneck, with the blocks there."""
        embedding, text = self.embed(noise_level, condition)
        x = self.input(torch.cat([x, torch.ones_like(x[:, :1])], 1))
        return self.descend(x, [x], embedding, text)

    def decode(self, encoded: Encoded) -> Tensor:
        x, skips = encoded.bottleneck, list(encoded.skips)
        for block in self.middle:
            x = block(x, encoded.embedding, encoded.text)
        for block, takes_skip in zip(self.decoder, self.takes_skip, strict=True):
            if takes_skip:
                x = mp_cat(x, skips.pop())
            x = block(x, encoded.embedding, encoded.text)
        return self.output(x, gain=self.output_gain)
