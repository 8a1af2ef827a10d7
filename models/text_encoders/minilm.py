"""BERT, of which MiniLM is one: an encoder of sentences (Devlin et al., arXiv 1810.04805)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers.magnitude_preserving import pixel_norm
from models.text_encoders.files import EncoderFiles
from models.text_encoders.tokenizer import tokenise, tokenizers_library
from models.text_encoders.weights import Layer, Tensors, attend, load_weights, prefix_of, width_of

WORDS = "embeddings.word_embeddings.weight"
HEADS = 12
AT_ONCE = 64
"""Captions in a forward pass."""


def bert(tensors: Tensors, index: Tensor, mask: Tensor, heads: int, eps: float = 1e-12) -> Tensor:
    """Last hidden states [M, T, E] of tokens int64 [M, T]; mask bool [M, T], false at padding.

    tensors: of a BERT under Hugging Face's names, with any prefix.
    """
    network = Layer(tensors, prefix_of(tensors, WORDS))
    table = network.under("embeddings")
    positions = table["position_embeddings.weight"][: index.shape[1]]
    x = table["word_embeddings.weight"][index] + positions
    x = table.norm("LayerNorm", x + table["token_type_embeddings.weight"][0], eps)
    visible = mask[:, None, None]
    names = ("self.query", "self.key", "self.value")
    for number in range(network.count("encoder.layer")):
        layer = network.under(f"encoder.layer.{number}")
        attention = layer.under("attention")
        y = attention.linear("output.dense", attend(attention, names, x, heads, visible))
        x = attention.norm("output.LayerNorm", x + y, eps)
        y = layer.linear("output.dense", F.gelu(layer.linear("intermediate.dense", x)))
        x = layer.norm("output.LayerNorm", x + y, eps)
    return x


class BertEncoder:
    """A caption's tokens are the last hidden states, its own vector their normalised mean.

    Args:
        files: safetensors, tokenizer.json and config.json as sentence-transformers writes them.
        most: tokens of a caption that count, with the two that mark its ends.
    """

    def __init__(self, files: EncoderFiles, most: int):
        self.files, self.most = files, most
        tokenizers_library()
        self.width = width_of(load_weights(files), WORDS)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        tensors, config = load_weights(self.files), self.files.config()
        index, mask = tokenise(self.files.tokenizer(), captions, self.most)
        heads = int(config.get("num_attention_heads", HEADS))
        eps = float(config.get("layer_norm_eps", 1e-12))
        parts = zip(index.split(AT_ONCE), mask.split(AT_ONCE), strict=True)
        hidden = torch.cat([bert(tensors, *part, heads, eps) for part in parts])
        tokens = torch.where(mask[..., None], hidden, 0)
        return pixel_norm(tokens, dim=-1), mask, pixel_norm(tokens.sum(1), dim=-1)

    def describe(self) -> dict[str, Any]:
        return {"encoder": "minilm", "sha256": self.files.sha256}
