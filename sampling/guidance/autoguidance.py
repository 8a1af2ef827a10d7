"""Autoguidance: a worse version of the denoiser guides it."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sampling.guidance.base import Guided, LabelledDenoiser
from sampling.guidance.config import GuidanceConfig, GuidanceWeight, Needs

if TYPE_CHECKING:
    from torch import Tensor


class AutoguidanceConfig(GuidanceConfig):
    """Pushes images away from what a worse denoiser makes."""

    needs: ClassVar[Needs] = Needs(network=True)

    kind: Literal["autoguidance"] = "autoguidance"
    """Also give weights or length."""
    weight: GuidanceWeight = 1.0
    """Strength; 1 leaves the denoiser unguided."""
    weights: str | None = None
    """Weights file of the guiding denoiser."""
    length: Annotated[float, Field(gt=0, lt=12**-0.5)] | None = None
    """EMA length of the guiding denoiser, instead of a weights file."""

    @model_validator(mode="after")
    def _one_guide(self) -> Self:
        if self.weights is not None and self.length is not None:
            raise ValueError("autoguidance takes weights or length, not both")
        return self

    @property
    def guiding_weights(self) -> str | None:
        """The file of the guiding denoiser."""
        return self.weights

    @property
    def guiding_length(self) -> float | None:
        """The EMA length of the guiding denoiser."""
        return self.length

    def with_guiding_weights(self, path: str) -> Self:
        """The same entry, guided by the denoiser of this file."""
        return self.model_copy(update={"weights": path, "length": None})

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Raises ValueError if the guide has another image shape or other classes."""
        return Autoguidance(denoiser, helper, self.weight)

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """One more, of the guide, unless the weight is 1."""
        return inside if self.weight == 1 else inside + 1


class Autoguidance(Guided):
    """D_guide + w (D - D_guide) (Karras et al. 2024, Guiding a Diffusion Model with a Bad Version
    of Itself).

    The guide is a smaller network, an earlier snapshot or another EMA length. With weight 1 it is
    not called.
    """

    def __init__(self, denoiser: LabelledDenoiser, guide: LabelledDenoiser, weight: float) -> None:
        super().__init__(denoiser)
        if tuple(guide.image_shape) != tuple(denoiser.image_shape):
            raise ValueError(
                f"the guide makes images of shape {tuple(guide.image_shape)}, "
                f"the denoiser {tuple(denoiser.image_shape)}: choose a guide of the same shape"
            )
        if guide.num_classes not in (0, denoiser.num_classes):
            raise ValueError(
                f"the guide knows {guide.num_classes} classes, the denoiser "
                f"{denoiser.num_classes}: choose a guide with the same classes, or without any"
            )
        self.guide, self.weight = guide, weight

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]."""
        main = self.denoiser(x, sigma, labels)
        if self.weight == 1:
            return main
        guide = self.guide(x, sigma, labels if self.guide.num_classes else None)
        return guide + self.weight * (main - guide)
