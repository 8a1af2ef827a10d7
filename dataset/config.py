"""The `dataset` section of params.yaml."""

from typing import Annotated, Literal, Self

from PIL import ImageColor
from pydantic import Field, field_validator, model_validator

from foundation.settings_base import Settings

TORCHVISION_NAMES = ("FashionMNIST", "CIFAR10")
Text = Annotated[str, Field(min_length=1)]


class DatasetConfig(Settings):
    """Which images to prepare, and how they become uint8 squares of one size."""

    source: Literal["digits", "image_folder", "torchvision", "huggingface"] = "digits"
    """Where images come from; digits (scikit-learn, 1,797 images of 8x8) needs no download."""
    path: Text | None = None
    """image_folder: a folder or .zip; torchvision: the folder of its files (null: user cache)."""
    name: Text | None = None
    """torchvision: FashionMNIST or CIFAR10; huggingface: a hub id or a local folder."""
    split: Text = "train"
    """torchvision: train or test; huggingface: any split expression, such as train[:5000]."""
    image_column: Text = "image"
    """huggingface: the column that holds the images."""
    label_column: Text | None = "label"
    """huggingface: the column that holds the class; null makes the data set unlabelled."""
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
        if self.source in ("digits", "huggingface") and self.path is not None:
            hint = {"digits": "image_folder for your own files", "huggingface": "name instead"}
            raise ValueError(
                f"path has no meaning for source {self.source}: set path to null, or use "
                f"{hint[self.source]}"
            )
        if self.source in ("digits", "image_folder") and self.name is not None:
            raise ValueError(
                f"name has no meaning for source {self.source}: set name to null, or source to "
                "torchvision or huggingface"
            )
        if self.source == "image_folder" and self.path is None:
            raise ValueError("source image_folder needs path: the folder or .zip of your images")
        if self.source == "huggingface" and self.name is None:
            raise ValueError("source huggingface needs name: a hub id or a local folder")
        if self.source == "torchvision":
            if self.name not in TORCHVISION_NAMES:
                raise ValueError(
                    f"source torchvision needs name to be one of {', '.join(TORCHVISION_NAMES)}"
                )
            if self.split not in ("train", "test"):
                raise ValueError("source torchvision needs split to be train or test")
        return self
