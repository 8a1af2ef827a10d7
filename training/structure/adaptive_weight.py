"""Computes the adaptive weight lambda of the adversarial loss."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foundation.workers import World
from models.denoiser import Denoiser


class AdaptiveWeight:
    """lambda = clip(lambda_0 * |grad L_denoise| / |grad L_adv|, 0, cap) at the output convolution.

    Both norms are smoothed over plays before the division (VQGAN, arXiv 2012.09841, Eq. 7, has the
    same ratio without smoothing). Norms that are not finite are ignored.
    """

    def __init__(self, lambda_0: float, cap: float, smoothing: float):
        self.lambda_0, self.cap, self.smoothing = lambda_0, cap, smoothing
        self._weight = self._denoise = self._adversarial = 0.0

    def update(self, denoise_norm: float, adversarial_norm: float) -> float:
        """Add a play's two gradient norms, both of the global batch; returns the new lambda."""
        if math.isfinite(denoise_norm) and math.isfinite(adversarial_norm):
            old, new = self.smoothing, 1.0 - self.smoothing
            self._weight = old * self._weight + new
            self._denoise = old * self._denoise + new * denoise_norm
            self._adversarial = old * self._adversarial + new * adversarial_norm
        return self.value

    @property
    def value(self) -> float:
        """The current lambda; 0 before the first update."""
        if not self._weight or self._denoise == 0.0:
            return 0.0
        if self._adversarial == 0.0:
            return self.cap if self.lambda_0 else 0.0
        return min(self.lambda_0 * self._denoise / self._adversarial, self.cap)

    def state_dict(self) -> list[float]:
        return [self._weight, self._denoise, self._adversarial]

    def load_state_dict(self, state: list[float]) -> None:
        self._weight, self._denoise, self._adversarial = state


def compared_parameters(denoiser: Any) -> list[nn.Parameter]:
    """Where the strengths of two losses are compared: at the last convolution's weight.

    Where that is frozen, since an adapter alone is trained: at all trained parameters.
    """
    weight = denoiser.output_conv_weight
    if weight.requires_grad:
        return [weight]
    return [parameter for parameter in denoiser.parameters() if parameter.requires_grad]


def joined(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """One tensor of all gradients that are there; None if there is none."""
    found = [gradient for gradient in gradients if gradient is not None]
    if len(found) < 2:
        return found[0] if found else None
    return torch.cat([gradient.reshape(-1) for gradient in found])


def weigh(
    weight: AdaptiveWeight,
    denoiser: Denoiser,
    gradients: list[Tensor | None],
    denoise_norm: float,
    adapted: bool,
    world: World,
) -> tuple[dict[str, float], bool]:
    """Multiply the gradients by lambda, or drop them if any worker's are not finite.

    Returns the metrics, and whether they were dropped.

    Args:
        gradients: for each parameter of the denoiser, or None; changed in place.
        denoise_norm: of the denoising gradient of the compared parameters.
        adapted: whether the game moves an adapter alone: lambda is then 1, since an adapter has no
            denoising gradient to be compared with.
    """
    measured = gradients
    if not adapted:
        compared = {id(parameter) for parameter in compared_parameters(denoiser)}
        pairs = zip(denoiser.parameters(), gradients, strict=True)
        measured = [gradient for p, gradient in pairs if id(p) in compared]
    at_output = joined(measured)
    assert at_output is not None, "the fakes do not depend on the weights that are compared"
    finite = [torch.isfinite(g).all() for g in gradients if g is not None]
    bad = ~torch.stack(finite).all()
    counted = torch.cat([at_output.reshape(-1), bad.to(at_output.dtype)[None]])
    total = world.all_reduce_sum_(counted)
    norm = float(total[:-1].norm())
    if total[-1] > 0:  # number of workers with a gradient that is not finite
        gradients[:] = [None for _ in gradients]
        return {"adv_grad": norm}, True
    if adapted:
        return {"adv_grad": norm, "lambda": 1.0}, False
    factor = weight.update(denoise_norm, norm)
    gradients[:] = [None if g is None else (factor * g).contiguous() for g in gradients]
    return {"adv_grad": norm, "lambda": factor}, False
