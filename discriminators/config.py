"""Settings of the discriminator of batch structure."""

from typing import Annotated, Literal

from pydantic import Field

from foundation.bounds import IMAGES_AT_ONCE, NETWORK_WIDTH, AtMost
from foundation.settings_base import Settings, left_out_at

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
    bank_images: Annotated[
        int,
        Field(ge=64),
        AtMost(1_000_000, "their features are kept in memory"),
        left_out_at(8192),
    ] = 8192
    """Real images in the bank of the forms that look into one: at most half the train images. They
    are drawn anew with each refresh_kimg, and are in no play."""
    tangent_neighbours: Annotated[
        int, Field(ge=3), AtMost(512, "each sample has a matrix of so many"), left_out_at(32)
    ] = 32
    """Images of the bank through which tangent and law lay a plane."""
    tangent_dims: Annotated[
        int, Field(ge=1), AtMost(510, "a plane of fewer than its neighbours"), left_out_at(10)
    ] = 10
    """Dimensions of that plane, at most tangent_neighbours - 2."""
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
