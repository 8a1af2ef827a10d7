"""What every network F of the denoiser has: embeddings of noise level and condition, two halves."""

from dataclasses import dataclass

from torch import Tensor, nn

from models.condition import Condition
from models.layers.cross_attention import NullToken, Text
from models.layers.magnitude_preserving import MPConv, MPFourier, mp_silu, mp_sum

CLIP = 256.0  # keeps activations inside half precision; never reached in healthy training


@dataclass(frozen=True)
class Encoded:
    """What the first half of a network hands to the second."""

    bottleneck: Tensor  # [B, C, h, w]
    skips: list[Tensor]  # each [B, C_l, h_l, w_l], in the order they were made
    embedding: Tensor  # [B, E]
    text: Text | None = None  # tokens [B, T, E]


class Backbone(nn.Module):
    """F(x; c_noise, condition): [B, C, H, W] -> [B, C, H, W], of unit magnitude at initialisation.

    Args:
        condition_width: length of a condition's vector, and of its tokens where there is text; 0:
            unconditional.
        features: of the noise level.
        embedding: E, the length of what modulates the blocks.
        text: whether the network attends to tokens.
    """

    input: MPConv
    output: MPConv
    encoder: nn.ModuleList
    """Blocks of the first half, called with (x, embedding, text)."""
    structure: nn.ModuleList
    """Blocks at the bottleneck (model.structural_blocks)."""

    def __init__(self, condition_width: int, features: int, embedding: int, text: bool):
        super().__init__()
        self.noise_features = MPFourier(features)
        self.noise_embedding = MPConv(features, embedding)
        self.label_embedding = MPConv(condition_width, embedding) if condition_width else None
        self.null_token = NullToken(condition_width) if text else None

    def embed(self, noise_level: Tensor, condition: Condition | None) -> tuple[Tensor, Text | None]:
        """noise_level [B] (log sigma / 4), the condition if there is a width -> [B, E], the text"""
        embedding = self.noise_embedding(self.noise_features(noise_level))
        if self.label_embedding is not None:
            assert condition is not None, "a conditional network needs a condition, if of zeros"
            vector = condition.vector.to(embedding.dtype)
            embedding = mp_sum(embedding, self.label_embedding(vector), 0.5)
        embedding = mp_silu(embedding)
        if self.null_token is None:
            return embedding, None
        assert condition is not None and condition.tokens is not None
        assert condition.mask is not None
        return embedding, self.null_token(condition.tokens, condition.mask)

    def descend(
        self, x: Tensor, skips: list[Tensor], embedding: Tensor, text: Text | None
    ) -> Encoded:
        """x [B, C, h, w] through the encoder, each of whose states is added to skips, and the
        structural blocks."""
        for block in self.encoder:
            x = block(x, embedding, text)
            skips.append(x)
        for block in self.structure:
            x = block(x)
        return Encoded(x, skips, embedding, text)

    def encode(self, x: Tensor, noise_level: Tensor, condition: Condition | None) -> Encoded:
        """First half: x [B, C, H, W], noise_level [B] and condition as for `embed`."""
        raise NotImplementedError

    def decode(self, encoded: Encoded) -> Tensor:
        """Second half: [B, C, H, W]."""
        raise NotImplementedError
