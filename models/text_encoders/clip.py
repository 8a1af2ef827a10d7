"""The text tower of CLIP (Radford et al., arXiv 2103.00020)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.text_encoders.errors import EncoderError
from models.text_encoders.transformer import TransformerEncoder
from models.text_encoders.weights import Layer, Tensors, attend, prefix_of

WORDS = "embeddings.token_embedding.weight"
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu": F.gelu,
}


def clip_text(
    tensors: Tensors,
    index: Tensor,
    mask: Tensor,
    heads: int,
    activation: str = "quick_gelu",
    eps: float = 1e-5,
) -> Tensor:
    """Normalised last hidden states [M, T, E] of tokens int64 [M, T]; a token sees those before it.

    tensors: of a CLIP under Hugging Face's names, with any prefix; mask: bool, false at padding.
    """
    network = Layer(tensors, prefix_of(tensors, WORDS))
    table, act = network.under("embeddings"), ACTIVATIONS[activation]
    length = index.shape[1]
    x = table["token_embedding.weight"][index] + table["position_embedding.weight"][:length]
    before = torch.ones(length, length, dtype=torch.bool, device=index.device).tril()
    visible = before & mask[:, None, None]
    names = ("q_proj", "k_proj", "v_proj")
    for number in range(network.count("encoder.layers")):
        layer = network.under(f"encoder.layers.{number}")
        attention = layer.under("self_attn")
        y = attend(attention, names, layer.norm("layer_norm1", x, eps), heads, visible)
        x = x + attention.linear("out_proj", y)
        y = layer.linear("mlp.fc1", layer.norm("layer_norm2", x, eps))
        x = x + layer.linear("mlp.fc2", act(y))
    return network.norm("final_layer_norm", x, eps)


class ClipEncoder(TransformerEncoder):
    """The text tower of a CLIP; a caption's own vector is the state of its last token.

    The projection into the space of pictures is left out.
    """

    name, words = "clip", WORDS

    def network(
        self, tensors: Tensors, config: Mapping[str, Any]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        config = config.get("text_config") or config
        act = str(config.get("hidden_act", "quick_gelu"))
        if act not in ACTIVATIONS:
            raise EncoderError(
                f"model.text.path: {self.files.place}: hidden_act {act!r} is none of "
                f"{', '.join(ACTIVATIONS)}"
            )
        heads = int(config.get("num_attention_heads", max(1, self.width // 64)))
        eps = float(config.get("layer_norm_eps", 1e-5))
        return lambda index, mask: clip_text(tensors, index, mask, heads, act, eps)

    def pooled(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return hidden[torch.arange(len(mask)), mask.sum(1) - 1]
