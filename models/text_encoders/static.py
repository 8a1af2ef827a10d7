"""A static embedding: a frozen vector for each token, whatever stands beside it."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.layers.magnitude_preserving import pixel_norm
from models.text_encoders.files import EncoderFiles
from models.text_encoders.tokenizer import tokenise, tokenizers_library
from models.text_encoders.weights import load_weights


class StaticEncoder:
    """Vectors of tokens from a table [V, E]; a caption's own is the normalised mean of them.

    Args:
        files: weights (the largest matrix among them is the table, of any number type) and
            tokenizer.json.
        most: tokens of a caption that count.
    """

    def __init__(self, files: EncoderFiles, most: int):
        self.files, self.most = files, most
        tokenizers_library()
        self.width = _table(files).shape[1]

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        table = _table(self.files)
        index, mask = tokenise(self.files.tokenizer(), captions, self.most, special=False)
        if int(index.max()) >= len(table):
            raise ValueError(
                f"model.text.path: {self.files.place}: its tokenizer knows more than the "
                f"{len(table):,} tokens of {self.files.weights_name}"
            )
        tokens = table[index] * mask[..., None]
        return pixel_norm(tokens, dim=-1), mask, pixel_norm(tokens.sum(1), dim=-1)

    def describe(self) -> dict[str, Any]:
        return {"encoder": "static", "sha256": self.files.sha256}


def _table(files: EncoderFiles) -> Tensor:
    if files.weights_name.endswith(".npy"):
        array = np.load(BytesIO(files.weights()), allow_pickle=False)
        matrices = [torch.from_numpy(array)]
    else:
        matrices = list(load_weights(files).values())
    matrices = [tensor for tensor in matrices if tensor.ndim == 2]
    if not matrices:
        raise ValueError(f"model.text.path: {files.place}: {files.weights_name} holds no matrix")
    table = max(matrices, key=lambda tensor: tensor.numel()).float()
    return table / table.square().mean().sqrt().clamp_min(1e-12)
