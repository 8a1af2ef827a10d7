"""Settings of an attribute: its values, and how its predictor is trained."""

from typing import Annotated

from pydantic import Field

from foundation.bounds import AtMost
from foundation.settings_base import Settings

IMAGES = AtMost(10_000_000, "they are kept in memory")
STEPS = AtMost(10_000_000, "it is a small network")
BANK = AtMost(100_000, "each noisy image is compared with all of them")
LAYERS = AtMost(3, "few images fit no deeper one")


class AttributeConfig(Settings):
    """One entry of the section `attributes` of params.yaml."""

    values: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Names of classes, which are the attribute's values; null: all of the data set."""
    images: Annotated[int, Field(ge=4), IMAGES] = 200
    """Labelled training images, taken at random among those of these classes."""
    layers: Annotated[int, Field(ge=1), LAYERS] = 1
    """1: linear; 2 or 3: an MLP."""
    steps: Annotated[int, Field(ge=1), STEPS] = 1000
    """Steps of training, 64 images each."""
    bank: Annotated[int, Field(ge=0), BANK] = 2048
    """Unlabelled training images, of these classes, that the predictor compares a noisy image with
    where noise is large, beside the labelled ones; 0: none of either."""
