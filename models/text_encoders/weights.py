"""Tensors of a frozen encoder's safetensors file."""

import torch
from safetensors import SafetensorError
from torch import Tensor

from models.text_encoders.errors import EncoderError
from models.text_encoders.files import EncoderFiles

Tensors = dict[str, Tensor]


def load_weights(files: EncoderFiles) -> Tensors:
    """All tensors by name. Raises a one-line ValueError where the file is damaged."""
    from safetensors.torch import load

    try:
        return load(files.weights())
    except SafetensorError as error:
        raise EncoderError(
            f"model.text.path: {files.place}: {files.weights_name} is damaged ({error})"
        ) from None


class Layer:
    """The tensors below a prefix, used as functions: linear maps and layer norms in fp32."""

    def __init__(self, tensors: Tensors, prefix: str = ""):
        self.tensors, self.prefix = tensors, prefix

    def __getitem__(self, name: str) -> Tensor:
        key = self.prefix + name
        if key not in self.tensors:
            raise EncoderError(f"model.text.path: the encoder's weights lack {key}")
        tensor = self.tensors[key]
        return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor

    def under(self, name: str) -> "Layer":
        """The tensors below a longer prefix."""
        return Layer(self.tensors, f"{self.prefix}{name}.")

    def linear(self, name: str, x: Tensor) -> Tensor:
        """x W^T + b."""
        return torch.nn.functional.linear(x, self[f"{name}.weight"], self[f"{name}.bias"])

    def norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        """Layer norm over the last dimension."""
        weight, bias = self[f"{name}.weight"], self[f"{name}.bias"]
        return torch.nn.functional.layer_norm(x, weight.shape, weight, bias, eps)

    def count(self, name: str) -> int:
        """How many numbered parts `name.0`, `name.1`, ... there are."""
        start = f"{self.prefix}{name}."
        numbers = {key[len(start) :].split(".")[0] for key in self.tensors if key.startswith(start)}
        return len(numbers)


def prefix_of(tensors: Tensors, ending: str) -> str:
    """What stands before the first tensor name with that ending, such as "bert."."""
    names = sorted((name for name in tensors if name.endswith(ending)), key=len)
    if not names:
        raise EncoderError(f"model.text.path: the encoder's weights lack {ending}")
    return names[0].removesuffix(ending)


def width_of(tensors: Tensors, ending: str) -> int:
    """Columns of the matrix whose name ends so."""
    return tensors[prefix_of(tensors, ending) + ending].shape[1]


def attend(
    layer: Layer, names: tuple[str, str, str], x: Tensor, heads: int, mask: Tensor
) -> Tensor:
    """Softmax attention of x [M, T, E] over itself; names: of query, key and value.

    mask: bool, true where a query may look, broadcast to [M, heads, T, T].
    """
    count, length, width = x.shape
    q, k, v = (
        layer.linear(name, x).view(count, length, heads, width // heads).transpose(1, 2)
        for name in names
    )
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return out.transpose(1, 2).reshape(count, length, width)
