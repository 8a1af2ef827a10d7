"""The `dataset` section of params.yaml."""

from typing import Annotated, Literal, Self

from PIL import ImageColor
from pydantic import Field, field_validator, model_validator

from dataset.sources.config import SourceConfig, Text
from dataset.sources.table import SOURCES
from foundation.names_in_settings import NameIn


class DatasetConfig(SourceConfig):
    """Which images to prepare, and how they become uint8 squares of one size."""

    source: Annotated[str, NameIn("source of images", SOURCES)] = "digits"
    """Where images come from; digits (scikit-learn, 1,797 images of 8x8) needs no download."""
    resolution: Annotated[int, Field(ge=4, le=1024)] = 8
    """Height and width in pixels; other shapes are cropped at the centre, then resized."""
    channels: Literal["auto", 1, 3] = "auto"
    """1 grey, 3 colour; auto takes what the images have and refuses a mix of both."""
    resize: Literal["lanczos", "area"] = "lanczos"
    """lanczos: Pillow's antialiased Lanczos-3; area: the exact mean over each pixel's area."""
    background: Text = "white"
    """Colour behind transparent pixels: a Pillow colour name or #rrggbb."""
    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """Share of images never trained on, chosen by a hash of each image's pixels."""
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    """prepare fails when more than this share of the images cannot be read."""

    @field_validator("channels", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        if isinstance(value, bool):  # which Literal would take for 1
            raise ValueError("is a truth value: use auto, 1 or 3")
        return value

    @field_validator("background")
    @classmethod
    def _opaque_colour(cls, value: str) -> str:
        try:
            opaque = len(ImageColor.getrgb(value)) == 3
        except ValueError:
            opaque = False
        if not opaque:
            raise ValueError("is not an opaque colour: use a name such as white, or #rrggbb")
        return value

    @model_validator(mode="after")
    def _fields_of_the_source(self) -> Self:
        SOURCES[self.source].check(self)
        if self.captions is not None and self.source not in self.captions.sources:
            raise ValueError(
                f"captions of kind {self.captions.kind} belong to source "
                f"{' or '.join(self.captions.sources)}, not {self.source}: set captions to null, "
                "or choose another kind"
            )
        return self
