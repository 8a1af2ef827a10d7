"""The hidden weight matrices of a network: what an optimiser of matrices may move."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers.magnitude_preserving import MPConv

NO_MATRIX = ("input", "output", "label_embedding", "uncertainty")
"""Last names of layers that stay with Adam: those at the pixels, those at one-hot labels, and the
uncertainty's single row."""
FUSED = {"qkv": (3, True), "key_value": (2, False)}
"""{last name of a layer: (number of maps that lie in it, whether their rows take turns)}."""


@dataclass(frozen=True)
class Matrix:
    """A weight whose rows are outputs, of one map or of several."""

    parameter: nn.Parameter
    maps: int = 1
    in_turn: bool = True
    """Whether the maps' rows take turns; else the maps lie one after another."""

    def parts(self, tensor: Tensor) -> list[Tensor]:
        """Views of a tensor like the parameter as matrices [outputs, inputs], one for each map."""
        rows = tensor.flatten(1)
        if self.in_turn:
            return [rows[number :: self.maps] for number in range(self.maps)]
        return list(rows.chunk(self.maps))


def hidden_matrices(network: nn.Module) -> Iterator[Matrix]:
    """Weights of magnitude-preserving layers between a network's ends; kernels are flattened.

    Kernels of single channels (depthwise) are not among them: they map no channel to another.
    """
    for name, module in network.named_modules():
        last = name.rpartition(".")[2]
        if isinstance(module, MPConv) and module.groups == 1 and last not in NO_MATRIX:
            yield Matrix(module.weight, *FUSED.get(last, (1, True)))


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrices, roughly: singular values between 0.7 and 1.2.

    The quintic Newton-Schulz iteration of Muon (Jordan et al. 2024), which torch.optim.Muon also
    uses, for many matrices [N, A, B] of one shape at once. On processors it runs in fp32: products
    this small are quicker so, and bf16 is slow where a processor has no units for it.
    """
    found = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    upright = found.shape[1] > found.shape[2]
    found = found.mT if upright else found
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(steps):
        gram = found @ found.mT
        found = torch.baddbmm(
            found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a
        )
    return (found.mT if upright else found).to(matrices.dtype)
