"""Settings of the structure game, one class for each of its parts.

In params.yaml all of them are keys of the one section `structure`.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from discriminators.config import AFFINITY_MOST, DiscriminatorConfig, NonNegative
from discriminators.forms import FORMS, UNOPPOSED
from foundation.bounds import IMAGES_AT_ONCE, KIMG, NOISE_LEVEL, AtMost
from foundation.names_in_settings import NameIn
from foundation.settings_base import Settings, left_out_at
from sampling.config import SamplerConfig

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Sigma = Annotated[Positive, NOISE_LEVEL]
Weight = Annotated[NonNegative, AtMost(1e12, "the denoising loss would not count any more")]
Rate = Annotated[
    Positive, AtMost(100, "Adam moves each weight by about so much, and all are near 1")
]


class GateConfig(Settings):
    """When the gate shuts, so that the denoiser gets no adversarial gradient."""

    chance_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.05
    """The discriminator is at chance while its smoothed accuracy is below 0.5 plus this margin."""
    win_gap: Positive = 6.0
    """The discriminator wins by far while its smoothed real-minus-fake logit gap is above this.
    (The gap of an affinity ends at 2.)"""
    max_worsening: Positive = 0.01
    """Tolerated worsening of the held-out denoising loss, or of its distance from the train
    loss, in any sigma bin, relative to the bin's best held-out loss (0.01 = 1%)."""
    smoothing: Fraction = 0.9
    """Exponential smoothing of accuracy and logit gap, per play (0 = none)."""
    min_plays: Annotated[
        int, Field(ge=1), AtMost(1_000_000, "the gate would never open in any training")
    ] = 8
    """Number of plays after which the accuracy is trusted; before, the gate stays shut (too few
    plays)."""


class FakesConfig(Settings):
    """Which generated images the discriminator sees."""

    fakes: Literal["onestep", "onpolicy", "deployed", "renoise"] = "onestep"
    """How fakes are made: onestep (a real image with noise of sigma <= sigma_data, denoised once),
    onpolicy (a state of the sampler's path, denoised once), deployed (the sampler's images, with
    gradient through its steps), renoise (onestep, with new noise on reals and fakes)."""
    sampler: SamplerConfig | None = None
    """The deployed sampler, for deployed and onpolicy fakes; null: DDIM, 8 steps on EDM's grid."""
    gradient_steps: (
        Annotated[int, Field(ge=1), AtMost(10_000, "no sampler takes more steps")] | None
    ) = None
    """Evaluations through which the gradient goes, at most the sampler's. deployed: its last ones
    (null: all). onpolicy: the denoising and the steps of the path just before it (null: the
    denoising alone)."""
    sigma_min: Sigma = 0.03
    """Lowest noise level at which fakes are denoised."""
    sigma_max: Sigma | None = None
    """Highest noise level at which fakes are denoised; null: sigma_data (onestep), twice that
    (onpolicy), renoise_sigma (renoise)."""
    renoise_sigma: Sigma = 0.5
    """Noise level to which reals and fakes are re-noised before Psi, for fakes: renoise."""


class FeaturesConfig(Settings):
    """Psi, the frozen feature network in whose features the discriminator sees a batch."""

    features: Literal["denoiser", "efficientnet_lite0", "pixels"] = "denoiser"
    """The feature network Psi; it must not be the network of the metric."""
    feature_sigmas: Annotated[
        tuple[Sigma, ...], Field(min_length=1), AtMost(64, "each is a pass of the encoder")
    ] = (0.1,)
    """Noise levels given to the denoiser's encoder when it serves as Psi; each adds features. With
    fakes renoise, renoise_sigma is used instead."""
    pooling: Annotated[Literal["whole", "quadrants"], left_out_at("whole")] = "whole"
    """Over what the encoder's states are averaged: the whole image, or each quarter of it apart,
    which gives four times as many features."""
    whitened: Annotated[bool, left_out_at(False)] = False
    """Whether features are softly whitened: small differences along rare directions count too."""
    statistics_images: Annotated[
        int, Field(ge=2), AtMost(1_000_000, "their features are kept in memory")
    ] = 2048
    """Real images whose mean and deviation standardise Psi's features."""
    refresh_kimg: Annotated[Positive, KIMG] | None = None
    """Thousands of images after which Psi is copied again from the EMA denoiser; null: never."""


class OpponentConfig(Settings):
    """How the discriminator learns."""

    lr: Rate = 5e-4
    """Learning rate of the discriminator (Adam, betas 0 and 0.99)."""
    opponent_steps: Annotated[
        int, Field(ge=1), AtMost(10_000, "a single play would take hours")
    ] = 1
    """Steps of the discriminator per play; those after the first use rows of recent plays."""
    recent_plays: Annotated[
        int, Field(ge=2), AtMost(100_000, "their features are kept in memory")
    ] = 16
    """Number of plays whose features are kept for the further steps."""


class WeightConfig(Settings):
    """The weight of the adversarial gradient beside the denoising gradient."""

    lambda_0: Weight = 0.1
    """Wanted ratio of adversarial to denoising gradient at the output convolution."""
    lambda_cap: Weight = 1.0
    """Upper bound of the adaptive weight lambda."""
    lambda_smoothing: Fraction = 0.9
    """Exponential smoothing of the two gradient norms in lambda, per play (0 = none)."""
    adapter_lr: Rate = 1e-3
    """Learning rate of the denoiser's adapter (model.adapter_rank) at the game's start; it falls
    linearly to 0 at the end of training. With an adapter the game moves the adapter alone, and
    lambda is not used."""


class PlaysConfig(Settings):
    """When the game is played, and with how many images."""

    start_kimg: Annotated[NonNegative, KIMG] = 50.0
    """Warm-up: thousands of images of plain denoising before the game starts."""
    every: Annotated[
        int, Field(ge=1), AtMost(1_000_000_000, "no training has so many steps: use kind none")
    ] = 4
    """The game is played at every n-th optimiser step."""
    batch_size: Annotated[int, Field(ge=2), IMAGES_AT_ONCE] | None = 64
    """Fakes (and reals) per play, over all workers; null: the training batch size."""
    gate: GateConfig = GateConfig()
    """When the game pauses."""


# pydantic lists the fields of the last base first.
class StructureConfig(
    PlaysConfig, WeightConfig, OpponentConfig, FeaturesConfig, FakesConfig, DiscriminatorConfig
):
    """The minimax game between the denoiser and a discriminator of batch structure."""

    kind: Annotated[str, NameIn("discriminator", FORMS, "none")] = "graph"
    """Discriminator: graph, per_sample (same network, no edges), affinity (paired); beside a bank
    of real images tangent, bank, two_bank; no discriminator but a distance to that bank law,
    kernel, fd; none."""

    @property
    def shut_plays(self) -> int:
        """Plays at the game's start for which the gate stays shut."""
        return 0 if self.kind in UNOPPOSED else self.gate.min_plays

    @model_validator(mode="after")
    def _combinations_make_sense(self) -> "StructureConfig":
        if self.kind == "affinity" and self.fakes != "onestep":
            raise ValueError(
                f"fakes is {self.fakes!r} but kind 'affinity' compares fakes with their own "
                "sources: set fakes to 'onestep'"
            )
        if self.kind == "affinity" and self.gate.win_gap < AFFINITY_MOST:
            raise ValueError(
                f"gate.win_gap {self.gate.win_gap:g} could shut the gate of kind 'affinity' for "
                f"good, which has no logits to scale down: set it to {AFFINITY_MOST:g} or more"
            )
        if self.tangent_dims > self.tangent_neighbours - 2:
            raise ValueError(
                f"tangent_dims {self.tangent_dims} leaves nothing beside the plane of "
                f"tangent_neighbours {self.tangent_neighbours}: use at most "
                f"{self.tangent_neighbours - 2}"
            )
        if self.sigma_max is not None and self.sigma_max < self.sigma_min:
            raise ValueError(
                f"sigma_max {self.sigma_max:g} is below sigma_min {self.sigma_min:g}: "
                "raise it, or set it to null"
            )
        return self
