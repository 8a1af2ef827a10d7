"""Muon: momentum steps made orthogonal, for the hidden weight matrices; Adam for the rest."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.optimizers.matrices import Matrix, orthogonal

MOMENTUM = 0.95
SCALE = 0.2
"""Root mean square of a step at rate 1 (arXiv 2502.16982, section 2.2)."""

OF_MATRIX, OF_ADAM = {"momentum"}, {"step", "exp_avg", "exp_avg_sq"}
"""Names in the state of a parameter."""


class Muon(torch.optim.Optimizer):
    """One optimiser over all parameters of a network, as training wants it.

    torch.optim.Muon's step (a test compares them) with convolutions flattened to [outputs, inputs x
    kernel], fused maps such as those of queries, keys and values apart, and matrices of one shape
    orthogonalised together.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        matrices: Sequence[Matrix],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
    ):
        """matrices: which parameters are matrices; betas: of Adam."""
        super().__init__(groups, {"lr": lr})
        self.matrices = {id(matrix.parameter): matrix for matrix in matrices}
        others = [
            {"params": [p for p in group["params"] if id(p) not in self.matrices]}
            for group in self.param_groups
        ]
        self.adam = torch.optim.Adam(others, lr=lr, betas=betas)
        self.adam.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises ValueError if it is the state of another optimiser."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        for number, state in state_dict["state"].items():
            known = OF_MATRIX if id(parameters[number]) in self.matrices else OF_ADAM
            if not state.keys() <= known:
                raise ValueError(f"{', '.join(sorted(state))}: no state of Muon")
        super().load_state_dict(state_dict)
        self.adam.state = self.state

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group, others in zip(self.param_groups, self.adam.param_groups, strict=True):
            self._move_matrices(group)
            others["lr"] = group["lr"]
        self.adam.step()

    def _move_matrices(self, group: dict[str, Any]) -> None:
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            matrix = self.matrices.get(id(parameter))
            if matrix is None or parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
            ahead = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov's
            for weight, step in zip(matrix.parts(parameter), matrix.parts(ahead), strict=True):
                alike[tuple(step.shape)].append((weight, step))
        for shape, pairs in alike.items():
            steps = orthogonal(torch.stack([step for _, step in pairs]))
            length = group["lr"] * SCALE * math.sqrt(max(shape))
            for (weight, _), step in zip(pairs, steps, strict=True):
                weight.sub_(step, alpha=length)
