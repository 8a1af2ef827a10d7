"""What all solvers share: the type of a bound denoiser and one evaluation of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Denoise = Callable[["Tensor", "Tensor"], "Tensor"]
"""denoise(x [B, C, H, W], sigma [B]) -> x0 [B, C, H, W], labels already bound."""

Report = Callable[[int, "Tensor", "Tensor"], None]
"""report(step, x after the step, last x0), called once per step."""


def evaluate(denoise: Denoise, x: "Tensor", sigma: float) -> "Tensor":
    """D(x; sigma) with one noise level for the whole batch, in x's dtype."""
    import torch

    exact = torch.promote_types(x.dtype, torch.float32)  # half precision would round sigma
    levels = torch.full((x.shape[0],), sigma, dtype=exact, device=x.device)
    return denoise(x, levels).to(x.dtype)
