"""A static embedding: a frozen vector for each token, whatever stands beside it."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.layers.magnitude_preserving import pixel_norm
from models.text_encoders.errors import EncoderError
from models.text_encoders.files import EncoderFiles
from models.text_encoders.tokenizer import (
    tokenise,
    tokenizers_library,
    tokens_that_count,
    unknown_parts,
)
from models.text_encoders.weights import load_weights


class StaticEncoder:
    """Vectors of tokens from a table [V, E]; a caption's own is the normalised mean of them.

    Args:
        files: weights and tokenizer.json. The largest matrix among the weights is the table, of any
            number type; as Model2Vec stores it, there may be `mapping` [tokens], the row of each
            token, and `weights` [tokens], what each token counts in the mean.
        most: tokens of a caption that count.
    """

    def __init__(self, files: EncoderFiles, most: int):
        self.files, self.most = files, most
        tokenizers_library()
        self.width = _table(_tensors(files), files).shape[1]

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        tensors = _tensors(self.files)
        table = _table(tensors, self.files)
        mapping, weights = tensors.get("mapping"), tensors.get("weights")
        index, mask = tokenise(self.files.tokenizer(), captions, self.most, special=False)
        known = len(table if mapping is None else mapping)
        if int(index.max()) >= known:
            raise EncoderError(
                f"model.text.path: {self.files.place}: its tokenizer knows more than the "
                f"{known:,} tokens of {self.files.weights_name}"
            )
        tokens = table[index if mapping is None else mapping[index].long()] * mask[..., None]
        counted = tokens if weights is None else tokens * weights.float()[index][..., None]
        return pixel_norm(tokens, dim=-1), mask, pixel_norm(counted.sum(1), dim=-1)

    def unknown(self, captions: Sequence[str]) -> list[tuple[list[str], bool]]:
        return unknown_parts(self.files.tokenizer(), captions)

    def counted(self, captions: Sequence[str]) -> list[int | None]:
        return tokens_that_count(self.files.tokenizer(), captions, self.most, special=False)

    def describe(self) -> dict[str, Any]:
        return {"encoder": "static", "sha256": self.files.sha256}


def _tensors(files: EncoderFiles) -> dict[str, Tensor]:
    if files.weights_name.endswith(".npy"):
        return {"": torch.from_numpy(np.load(BytesIO(files.weights()), allow_pickle=False))}
    return load_weights(files)


def _table(tensors: dict[str, Tensor], files: EncoderFiles) -> Tensor:
    """The largest matrix in fp32, of unit root mean square."""
    matrices = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    if not matrices:
        raise EncoderError(f"model.text.path: {files.place}: {files.weights_name} holds no matrix")
    table = max(matrices, key=lambda tensor: tensor.numel()).float()
    return table / table.square().mean().sqrt().clamp_min(1e-12)
