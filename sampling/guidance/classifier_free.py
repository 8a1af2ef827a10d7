"""Classifier-free guidance: the denoiser without labels guides the one with labels."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sampling.guidance.base import Guided, LabelledDenoiser
from sampling.guidance.config import GuidanceConfig, GuidanceWeight, Needs

if TYPE_CHECKING:
    from torch import Tensor


class ClassifierFreeConfig(GuidanceConfig):
    """Pushes images away from what the same denoiser makes without labels."""

    needs: ClassVar[Needs] = Needs(labels=True)

    kind: Literal["classifier_free"] = "classifier_free"
    """For denoisers that know labels."""
    weight: GuidanceWeight = 1.0
    """Strength; 1 leaves the denoiser unguided."""

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Raises ValueError if the denoiser knows no labels."""
        return ClassifierFree(denoiser, self.weight)

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """Twice as many, with labels and without, unless the weight is 1."""
        return inside if self.weight == 1 else 2 * inside


class ClassifierFree(Guided):
    """D_u + w (D_c - D_u): classifier-free guidance (Ho and Salimans 2022).

    D_c is the denoiser with labels, D_u the same without. The result follows the gradient of
    log p(x) + w log p(y | x) at noise level sigma. With weight 1 only D_c is called; images without
    a label (-1) get D_u.
    """

    def __init__(self, denoiser: LabelledDenoiser, weight: float) -> None:
        super().__init__(denoiser)
        if denoiser.num_classes == 0:
            raise ValueError(
                "classifier_free guidance needs a denoiser with labels, and this one has none: "
                "use autoguidance, or train with model.class_conditional on labelled data"
            )
        self.weight = weight

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]."""
        if self.weight == 1 or labels is None:
            return self.denoiser(x, sigma, labels)
        import torch

        both = self.denoiser(
            torch.cat([x, x]),
            torch.cat([sigma, sigma]),
            torch.cat([labels, torch.full_like(labels, -1)]),
        )
        conditional, unconditional = both.chunk(2)
        return unconditional + self.weight * (conditional - unconditional)
