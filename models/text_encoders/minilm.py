"""BERT, of which MiniLM is one: an encoder of sentences (Devlin et al., arXiv 1810.04805)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from models.text_encoders.transformer import TransformerEncoder
from models.text_encoders.weights import Layer, Tensors, attend, prefix_of

WORDS = "embeddings.word_embeddings.weight"
HEADS = 12


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


class BertEncoder(TransformerEncoder):
    """A BERT as sentence-transformers writes it; a caption's own vector is its tokens' mean."""

    name, words = "minilm", WORDS

    def network(
        self, tensors: Tensors, config: Mapping[str, Any]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        heads = int(config.get("num_attention_heads", HEADS))
        eps = float(config.get("layer_norm_eps", 1e-12))
        return lambda index, mask: bert(tensors, index, mask, heads, eps)

    def pooled(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return hidden.sum(1)  # only its direction counts
