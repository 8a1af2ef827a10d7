"""Settings of a sampler that draws each image in bands of rows, with values of the step before."""

from typing import Annotated

from pydantic import Field

from foundation.bounds import PROCESSES, AtMost
from foundation.settings_base import Settings


class BandsConfig(Settings):
    """Displaced bands (docs/parallel_inference.md). The images depend on these two numbers."""

    count: Annotated[int, Field(ge=1), PROCESSES]
    """Bands of an image; they divide its rows so that each can be halved as often as the network
    does."""
    warm_up: Annotated[int, Field(ge=0), AtMost(10_000, "no sampler has so many evaluations")] = 1
    """Evaluations, after the first one, that still wait for the other bands' own values."""
