"""The text tower of CLIP (Radford et al., arXiv 2103.00020)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers.magnitude_preserving import pixel_norm
from models.text_encoders.files import EncoderFiles
from models.text_encoders.tokenizer import tokenise, tokenizers_library
from models.text_encoders.weights import Layer, Tensors, attend, load_weights, prefix_of, width_of

WORDS = "embeddings.token_embedding.weight"
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu": F.gelu,
}
AT_ONCE = 64
"""Captions in a forward pass."""


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


class ClipEncoder:
    """A caption's tokens are the last hidden states, its own vector that of the last token.

    The projection into the space of pictures is left out.

    Args:
        files: safetensors, tokenizer.json and config.json of a CLIP, or of its text tower.
        most: tokens of a caption that count, with the two that mark its ends.
    """

    def __init__(self, files: EncoderFiles, most: int):
        self.files, self.most = files, most
        tokenizers_library()
        self.width = width_of(load_weights(files), WORDS)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        tensors, config = load_weights(self.files), self.files.config()
        config = config.get("text_config") or config
        index, mask = tokenise(self.files.tokenizer(), captions, self.most)
        heads = int(config.get("num_attention_heads", max(1, self.width // 64)))
        act = str(config.get("hidden_act", "quick_gelu"))
        if act not in ACTIVATIONS:
            raise ValueError(
                f"model.text.path: {self.files.place}: hidden_act {act!r} is none of "
                f"{', '.join(ACTIVATIONS)}"
            )
        eps = float(config.get("layer_norm_eps", 1e-5))
        parts = zip(index.split(AT_ONCE), mask.split(AT_ONCE), strict=True)
        hidden = torch.cat([clip_text(tensors, *part, heads, act, eps) for part in parts])
        last = hidden[torch.arange(len(mask)), mask.sum(1) - 1]
        tokens = torch.where(mask[..., None], hidden, 0)
        return pixel_norm(tokens, dim=-1), mask, pixel_norm(last, dim=-1)

    def describe(self) -> dict[str, Any]:
        return {"encoder": "clip", "sha256": self.files.sha256}
