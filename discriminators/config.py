"""Settings of the discriminator of batch structure."""

from typing import Annotated, Literal

from pydantic import Field

from foundation.bounds import IMAGES_AT_ONCE, NETWORK_WIDTH, AtMost
from foundation.settings_base import Settings

NonNegative = Annotated[float, Field(ge=0)]
Penalty = Annotated[NonNegative, AtMost(1e9, "the loss itself would not count any more")]
AFFINITY_MOST = 2.0
"""Largest gap that an affinity reports: distances of cosines are bounded, and it has no logits."""


class DiscriminatorConfig(Settings):
    """Form, size, loss and penalties of the discriminator."""

    kind: str = "graph"
    """An entry of discriminators/forms.py, or none."""
    loss: Literal["relativistic", "non_saturating"] = "relativistic"
    """Adversarial loss of the unpaired kinds; affinity has its own."""
    k: Annotated[int, Field(ge=1), IMAGES_AT_ONCE] = 8
    """Neighbours of each sample in the graph; a batch of n has at most n - 1."""
    layers: Annotated[int, Field(ge=1), AtMost(64, "a deeper one fits into no memory")] = 2
    """Graph convolutions of the discriminator (hidden layers of the affinity encoder)."""
    width: Annotated[int, Field(ge=4), NETWORK_WIDTH] = 64
    """Channels of the discriminator."""
    gamma: Penalty = 0.01
    """Weight of the gradient penalties R1 (real) and R2 (fake) on the features."""
    gamma_r2: Penalty | None = None
    """Weight of R2 where it is to be another; null: gamma."""

    @property
    def gammas(self) -> tuple[float, float]:
        """Weights of R1 and of R2."""
        return self.gamma, self.gamma if self.gamma_r2 is None else self.gamma_r2
