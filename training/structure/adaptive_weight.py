"""Computes the adaptive weight lambda of the adversarial loss."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


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
