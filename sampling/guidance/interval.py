"""Guidance limited to an interval of noise levels."""

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sampling.guidance.base import Guided, LabelledDenoiser
from sampling.guidance.config import GuidanceConfig, Needs

if TYPE_CHECKING:
    from torch import Tensor


class IntervalConfig(GuidanceConfig):
    """Limits the entry before it to an interval of noise levels."""

    needs: ClassVar[Needs] = Needs(guidance_inside=True)

    kind: Literal["interval"] = "interval"
    """Give sigma_lo, sigma_hi or both, and the guidance that it limits as the entry before it."""
    sigma_lo: Annotated[float, Field(ge=0)] | None = None
    """Guide only at noise levels above this (null: down to 0)."""
    sigma_hi: Annotated[float, Field(gt=0)] | None = None
    """Guide only at noise levels up to this (null: from the start)."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.sigma_lo is None and self.sigma_hi is None:
            raise ValueError("kind interval needs sigma_lo, sigma_hi or both")
        low, high = self.ends
        if low >= high:
            raise ValueError(f"sigma_lo {low} is not below sigma_hi {high}")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The noise levels between which the entry before it guides."""
        return (
            0.0 if self.sigma_lo is None else self.sigma_lo,
            math.inf if self.sigma_hi is None else self.sigma_hi,
        )

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Raises ValueError if the denoiser is not a guided one."""
        return Interval(denoiser, *self.ends)

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """`inside` within the interval of noise levels, `unguided` outside."""
        low, high = self.ends
        return inside if low < sigma <= high else unguided


class Interval(Guided):
    """The guided denoiser where sigma_lo < sigma <= sigma_hi (Kynkaanniemi et al. 2024).

    At other noise levels `guided.unguided` is called: the same denoiser without the guidance.
    """

    def __init__(
        self, guided: LabelledDenoiser, sigma_lo: float = 0.0, sigma_hi: float = math.inf
    ) -> None:
        if not isinstance(guided, Guided):
            raise ValueError("interval limits a guidance: wrap a guided denoiser, not a plain one")
        if not 0 <= sigma_lo < sigma_hi:
            raise ValueError(f"interval ({sigma_lo}, {sigma_hi}]: choose 0 <= sigma_lo < sigma_hi")
        super().__init__(guided.denoiser)
        self.guided, self.sigma_lo, self.sigma_hi = guided, sigma_lo, sigma_hi

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]."""
        inside = (sigma > self.sigma_lo) & (sigma <= self.sigma_hi)
        if inside.all():
            return self.guided(x, sigma, labels)
        plain = self.unguided(x, sigma, labels)
        if not inside.any():
            return plain
        import torch

        choice = inside.view(-1, *[1] * (x.ndim - 1))
        return torch.where(choice, self.guided(x, sigma, labels), plain)

    def unguided(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W] without the guidance that is limited."""
        return self.guided.unguided(x, sigma, labels)
