"""What frozen encoders of captions that are transformers have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.layers.magnitude_preserving import pixel_norm
from models.text_encoders.files import EncoderFiles
from models.text_encoders.tokenizer import (
    tokenise,
    tokenizers_library,
    tokens_that_count,
    unknown_parts,
)
from models.text_encoders.weights import Tensors, load_weights, width_of

AT_ONCE = 64
"""Captions in a forward pass."""


class TransformerEncoder:
    """A caption's tokens are the last hidden states; a derived class says what its own vector is.

    Args:
        files: safetensors, tokenizer.json and config.json.
        most: tokens of a caption that count, with the two that mark its ends.
    """

    name = ""
    """As in params.yaml."""
    words = ""
    """Name of the matrix of words among the tensors."""

    def __init__(self, files: EncoderFiles, most: int):
        self.files, self.most = files, most
        tokenizers_library()
        self.width = width_of(load_weights(files), self.words)

    def network(
        self, tensors: Tensors, config: Mapping[str, Any]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """A function of tokens int64 [M, T] and mask bool [M, T]: last hidden states [M, T, E]."""
        raise NotImplementedError

    def pooled(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """A caption's own vector, of any length, [M, E]; hidden: [M, T, E], zero at padding."""
        raise NotImplementedError

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        tensors, config = load_weights(self.files), self.files.config()
        index, mask = tokenise(self.files.tokenizer(), captions, self.most)
        network = self.network(tensors, config)
        parts = zip(index.split(AT_ONCE), mask.split(AT_ONCE), strict=True)
        hidden = torch.cat([network(*part) for part in parts])
        tokens = torch.where(mask[..., None], hidden, 0)
        return pixel_norm(tokens, dim=-1), mask, pixel_norm(self.pooled(tokens, mask), dim=-1)

    def unknown(self, captions: Sequence[str]) -> list[tuple[list[str], bool]]:
        return unknown_parts(self.files.tokenizer(), captions)

    def counted(self, captions: Sequence[str]) -> list[int | None]:
        return tokens_that_count(self.files.tokenizer(), captions, self.most)

    def describe(self) -> dict[str, Any]:
        return {"encoder": self.name, "sha256": self.files.sha256}
