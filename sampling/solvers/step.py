"""What all solvers share: the type of the function they integrate, and one call of it."""

from collections.abc import Callable

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""denoise(x [B, C, H, W], sigma [B]) -> x0 [B, C, H, W]; the labels are filled in already."""

Report = Callable[[int, Tensor, Tensor], None]
"""report(step, x after the step, last x0); a solver calls it once per step."""


def evaluate(denoise: Denoise, x: Tensor, sigma: float) -> Tensor:
    """D(x; sigma) with one noise level for the whole batch, in x's dtype."""
    exact = torch.promote_types(x.dtype, torch.float32)  # float16 would round sigma
    levels = torch.full((x.shape[0],), sigma, dtype=exact, device=x.device)
    return denoise(x, levels).to(x.dtype)
