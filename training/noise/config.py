"""Frozen settings of the noise levels seen in training, and of how much each counts."""

from operator import not_
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foundation.bounds import KIMG, AtMost
from foundation.settings_base import Settings, left_out_at
from sampling.config import SamplerConfig

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class NoiseConfig(Settings):
    """The distribution of noise levels sigma seen in training."""

    schedule: Literal[
        "log_normal", "vp_linear", "vp_cosine", "flow", "adaptive", "speed", "sampler"
    ] = "log_normal"
    """log_normal (EDM), or the noise levels at uniform times of DDPM with linear or cosine betas
    (vp_linear, vp_cosine) or of a rectified flow (flow). adaptive: those of log_normal, more often
    where the loss varies most, without changing its mean; speed: those of vp_linear, its noisy end
    less often; sampler: those of one sampler alone (docs/convergence.md)."""
    mean: Annotated[float, Field(ge=-20), AtMost(14, "e^14 is a noise level of 10^6")] = -0.8
    """Mean of ln(sigma), for log_normal, adaptive, and the held-out levels of sampler."""
    std: Annotated[Positive, AtMost(10, "e^10 is a factor of 20,000")] = 1.2
    """Standard deviation of ln(sigma), likewise."""
    adapt_by: Annotated[Literal["loss", "gradient"], left_out_at("loss")] = "loss"
    """What has to vary for schedule adaptive to draw a level more often: an image's loss, or the
    gradient that its loss sends into the network's output."""
    adapt_kimg: Annotated[Positive, KIMG, left_out_at(20.0)] = 20.0
    """Memory of schedule adaptive (kimg)."""
    speed_after: Annotated[float, Field(gt=0, lt=1), left_out_at(0.7)] = 0.7
    """Time of vp_linear, 0 to 1, beyond which schedule speed draws less."""
    speed_factor: Annotated[
        float, Field(ge=1), AtMost(1000, "the noisy end is then hardly seen"), left_out_at(5.0)
    ] = 5.0
    """How much less often schedule speed draws there."""
    sampler: Annotated[SamplerConfig | None, Field(exclude_if=not_)] = None
    """The sampler of schedule sampler: {solver: heun, grid: karras, steps: 5}."""
    curriculum_kimg: Annotated[NonNegative, KIMG, left_out_at(0.0)] = 0.0
    """Images until all levels are drawn: training begins with the fifth of highest noise, and
    lower levels come evenly (kimg); 0: all from the start."""
    weighting: Annotated[Literal["uncertainty", "min_snr", "p2"], left_out_at("uncertainty")] = (
        "uncertainty"
    )
    """How much the loss of a level counts: as its learned uncertainty says, or that times min_snr's
    or p2's weight."""
    perturbation: Annotated[
        float, Field(ge=0), AtMost(1, "the noise is then 1.4 times what is told"), left_out_at(0.0)
    ] = 0.0
    """Further noise on the network's input, in parts of sigma, of which the network is not told
    (input perturbation); 0: none."""
    gradient_penalty: Annotated[
        float, Field(ge=0), AtMost(100, "the denoiser would be constant"), left_out_at(0.0)
    ] = 0.0
    """Penalty on the squared derivatives of the denoiser by its input, in squared data units; it
    biases the denoiser as further noise of that variance would, and about doubles the time of a
    step; 0: none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schedule == "sampler" and self.sampler is None:
            raise ValueError(
                "schedule: sampler needs the sampler, e.g. sampler: {solver: heun, grid: karras, "
                "steps: 5}"
            )
        if self.sampler is not None and self.sampler.levels_unknown is not None:
            raise ValueError(
                f"sampler: its levels are drawn in training, and {self.sampler.levels_unknown}: "
                "use another there"
            )
        if self.schedule == "adaptive" and self.curriculum_kimg:
            raise ValueError(
                "schedule: adaptive keeps the loss of all levels, and curriculum_kimg leaves "
                "levels out: use one of them"
            )
        return self
