"""Settings of one guidance entry."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from foundation.did_you_mean import check_name
from foundation.settings_base import Settings

GUIDANCE_KINDS = ("classifier_free", "autoguidance", "interval", "gradient")


class GuidanceConfig(Settings):
    """One guidance wrapper; a later entry of the list wraps the earlier ones."""

    kind: str = "classifier_free"
    """classifier_free, autoguidance, gradient, or interval (limits the entry before it)."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Strength: 1 is the plain denoiser (classifier_free, autoguidance), 0 is (gradient)."""
    sigma_lo: Annotated[float, Field(ge=0)] | None = None
    """interval: guide only at noise levels above this (null: down to 0)."""
    sigma_hi: Annotated[float, Field(gt=0)] | None = None
    """interval: guide only at noise levels up to this (null: from the start)."""
    weights: str | None = None
    """autoguidance: weights file of the guiding denoiser."""
    length: Annotated[float, Field(gt=0, lt=12**-0.5)] | None = None
    """autoguidance: EMA length of the guiding denoiser, instead of a weights file."""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        check_name("guidance kind", kind, GUIDANCE_KINDS)
        return kind

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        interval = self.sigma_lo is not None or self.sigma_hi is not None
        if interval and self.kind != "interval":
            raise ValueError(
                f"sigma_lo and sigma_hi belong to kind interval, not {self.kind}: "
                "add an entry {kind: interval, ...} after this one"
            )
        if self.kind == "interval":
            if not interval:
                raise ValueError("kind interval needs sigma_lo, sigma_hi or both")
            low, high = self.sigma_lo, self.sigma_hi
            if low is not None and high is not None and low >= high:
                raise ValueError(f"sigma_lo {low} is not below sigma_hi {high}")
        if (self.weights is not None or self.length is not None) and self.kind != "autoguidance":
            raise ValueError(f"weights and length belong to kind autoguidance, not {self.kind}")
        if self.weights is not None and self.length is not None:
            raise ValueError("autoguidance takes weights or length, not both")
        return self
