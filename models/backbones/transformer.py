"""A transformer F of the denoiser, in magnitude-preserving layers.

Sources: tokens of patches and fixed positions as in DiT (arXiv 2212.09748); long skip connections
between the two halves as in U-ViT (arXiv 2209.12152); layers, modulation and residual sums as in
EDM2 (arXiv 2312.02696).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.base import CLIP, Backbone, Encoded
from models.condition import Condition
from models.config import ModelConfig
from models.layers.attention import BALANCE, CosineAttention
from models.layers.cross_attention import CrossAttention, Text
from models.layers.magnitude_preserving import MPConv, mp_cat, mp_silu, mp_sum, pixel_norm
from models.layers.slot_dropout import SlotDropout

EXPANSION = 4
"""Channels inside the blocks' MLP over those outside (DiT)."""
LONGEST_PERIOD = 100.0
"""Of the positions' waves, over that of the shortest, in tokens."""


def positions(like: Tensor) -> Tensor:
    """Fixed positions of tokens like those of [B, C, h, w]: [1, C, h, w], of unit root mean square.

    Sines and cosines of row and column, C / 4 each, with periods from 2 pi to 200 pi tokens.
    """
    _, channels, height, width = like.shape
    wide = torch.promote_types(like.dtype, torch.float32)
    count = channels // 4
    powers = torch.arange(count, device=like.device, dtype=wide) / count
    frequencies = LONGEST_PERIOD**-powers
    rows = torch.arange(height, device=like.device, dtype=wide)[:, None] * frequencies  # [h, n]
    columns = torch.arange(width, device=like.device, dtype=wide)[:, None] * frequencies
    of_rows = torch.cat([rows.sin(), rows.cos()], 1).T[:, :, None].expand(-1, -1, width)
    of_columns = torch.cat([columns.sin(), columns.cos()], 1).T[:, None].expand(-1, height, -1)
    return (math.sqrt(2) * torch.cat([of_rows, of_columns])[None]).to(like.dtype)


class TransformerBlock(nn.Module):
    """Attention over tokens, then to a text, then an MLP modulated by the embedding.

    joins: the block takes a skip connection. Blocks of the first half normalise their input, those
    of the second do not, as those of the U-Net.
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        heads: int,
        *,
        encoder: bool = False,
        joins: bool = False,
        text_width: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder, self.dropout = encoder, SlotDropout(dropout)
        inner = EXPANSION * channels
        self.join = MPConv(2 * channels, channels, 1) if joins else None
        self.attention = CosineAttention(channels, heads)
        self.cross_attention = CrossAttention(channels, heads, text_width) if text_width else None
        self.expand = MPConv(channels, inner, 1)
        self.modulation = MPConv(embedding, inner)
        self.modulation_gain = nn.Parameter(torch.zeros([]))
        self.contract = MPConv(inner, channels, 1)

    def forward(
        self,
        x: Tensor,
        embedding: Tensor,
        text: Text | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        """x, skip: [B, C, h, w]."""
        if self.join is not None:
            assert skip is not None
            x = self.join(mp_cat(x, skip))
        if self.encoder:
            x = pixel_norm(x)
        x = self.attention(x)
        if self.cross_attention is not None:
            assert text is not None, "a network with text needs a text, if of the null token alone"
            x = self.cross_attention(x, text)
        y = self.expand(x)
        scale = self.modulation(embedding, gain=self.modulation_gain) + 1.0
        y = mp_silu(y * scale[:, :, None, None].to(y.dtype))
        x = mp_sum(x, self.contract(self.dropout(y)), BALANCE)
        return x.clamp(-CLIP, CLIP)


class Transformer(Backbone):
    """F(x; c_noise, condition) on tokens, each a patch of the image; one level, C channels.

    `blocks` blocks come before the bottleneck, where the structural blocks and one more stand, and
    as many after it, each joined with the state that its counterpart of the first half gave.

    Args:
        image_shape: (C, H, W).
        condition_width: length of a condition's vector, and of its tokens where the config has
            text; 0: unconditional.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], condition_width: int, config: ModelConfig
    ):
        image_channels, height, width = image_shape
        patch = config.patch
        if height % patch or width % patch:
            raise ValueError(
                f"images of {height}x{width} pixels cannot be cut into patches of {patch} "
                "(model.patch): use another resolution or another patch"
            )
        channels = config.bottleneck_channels
        super().__init__(condition_width, channels, channels, config.text is not None)
        self.patch = patch
        heads = max(1, channels // config.channels_per_head)
        text_width = condition_width if config.text is not None else 0

        def block(encoder: bool = False, joins: bool = False) -> TransformerBlock:
            return TransformerBlock(
                channels,
                channels,
                heads,
                encoder=encoder,
                joins=joins,
                text_width=text_width,
                dropout=config.dropout,
            )

        # One constant channel stands in for biases (EDM2, appendix B.1).
        self.input = MPConv(image_channels * patch**2 + 1, channels, 1)
        self.encoder = nn.ModuleList(block(encoder=True) for _ in range(config.blocks))
        self.structure = nn.ModuleList(one.make(channels) for one in config.structural_blocks)
        self.middle = block()
        self.decoder = nn.ModuleList(block(joins=True) for _ in range(config.blocks))
        self.output = MPConv(channels, image_channels * patch**2, 1)
        self.output_gain = nn.Parameter(torch.zeros([]))

    def encode(self, x: Tensor, noise_level: Tensor, condition: Condition | None) -> Encoded:
        """The first half of the blocks, and the structural ones."""
        embedding, text = self.embed(noise_level, condition)
        tokens = F.pixel_unshuffle(x, self.patch)
        x = self.input(torch.cat([tokens, torch.ones_like(tokens[:, :1])], 1))
        x = mp_sum(x, positions(x), 0.5)
        return self.descend(x, [], embedding, text)

    def decode(self, encoded: Encoded) -> Tensor:
        """The second half; the last state of the first is joined first."""
        x = self.middle(encoded.bottleneck, encoded.embedding, encoded.text)
        for block, skip in zip(self.decoder, reversed(encoded.skips), strict=True):
            x = block(x, encoded.embedding, encoded.text, skip)
        return F.pixel_shuffle(self.output(x, gain=self.output_gain), self.patch)
