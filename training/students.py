"""Frozen settings of students, a class for each kind; importing them does not import torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foundation.bounds import IMAGES_AT_ONCE, KIMG, NOISE_LEVEL, AtMost
from foundation.settings_base import Settings
from foundation.settings_by_kind import ByKind
from models.config import SigmaRel
from sampling.config import SamplerConfig
from training.config import Rate
from training.structure.config import StructureConfig

Positive = Annotated[float, Field(gt=0)]
Sigma = Annotated[float, Field(gt=0), NOISE_LEVEL]


class StudentConfig(Settings):
    """A student: a copy of a trained denoiser that learns to draw in a few evaluations."""

    kind: str
    """How it is trained: regression, consistency, distribution_matching or ddo."""
    teacher: SigmaRel = 0.1
    """EMA length of the teacher, one of ema.lengths."""
    samplers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the sampler settings that the student is judged with."""
    lengths: Annotated[tuple[SigmaRel, ...], Field(min_length=1)] = (0.05,)
    """EMA lengths of the student that are made afterwards, each judged."""
    total_kimg: Annotated[Positive, KIMG] = 100.0
    """Training length (kimg)."""
    batch_size: Annotated[int, Field(ge=2), IMAGES_AT_ONCE] = 128
    """Images per optimiser step, over all workers."""
    rank: Annotated[int, Field(ge=0, le=1024)] = 0
    """0: all weights are trained. Above 0: the student and its critic are adapters of this rank
    upon the teacher's weights, which are kept once in memory; try four times the lr then."""
    lr: Rate = 0.001
    """Peak learning rate of Adam; a third of what trained the teacher is a good start."""
    lr_ramp_kimg: Annotated[float, Field(ge=0), KIMG] = 2.0
    """Linear ramp from 0 at the start (kimg)."""
    lr_decay_kimg: Annotated[float, Field(ge=0), KIMG] = 0.0
    """Start of the inverse square root decay (kimg); 0: constant rate."""
    adam_betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.99,
    )
    """Adam's moment decays."""
    grad_clip: Positive = 1.0e6
    """Largest norm of a step's gradient; longer ones are scaled down."""
    snapshots: Annotated[int, Field(ge=2), AtMost(4096, "each is two weights files")] = 8
    """Times at which both averages are stored."""
    log_every_kimg: Annotated[Positive, KIMG] = 4.0
    """Images between two points of the curves (kimg)."""
    structure: StructureConfig = StructureConfig(kind="none")
    """A game upon the student's images, added to its own loss; by default none."""

    @property
    def levels(self) -> tuple[float, ...] | None:
        """Noise levels at which the student is called; None: at any."""
        return None

    @property
    def follows_paths(self) -> bool:
        """Whether it stays a denoiser that a sampler of many steps calls, as its teacher is."""
        return False

    @property
    def pairs_needed(self) -> int:
        """Pairs that the teacher draws before the student learns."""
        return 0


def check_pair_sampler(sampler: SamplerConfig) -> None:
    """Raise ValueError for a sampler whose levels every worker would have to search."""
    if sampler.grid == "fitted":
        raise ValueError(
            "sampler: grid fitted finds its levels where images are judged: draw pairs with grid "
            "explicit and the sigmas that metrics.json names"
        )


class PairsConfig(StudentConfig):
    """A student that learns from images which its teacher draws once."""

    pairs: Annotated[int, Field(ge=2), AtMost(10_000_000, "each is drawn by the teacher")] = 20_000
    """Pairs of noise and image that the teacher draws."""
    sampler: SamplerConfig = SamplerConfig()
    """The teacher's sampler for them; a student of regression starts at its sigma_max."""

    @property
    def pairs_needed(self) -> int:
        return self.pairs

    @model_validator(mode="after")
    def _plain_sampler(self) -> Self:
        if self.sampler.guidance or self.sampler.adapter or self.sampler.told_sigma != 1:
            raise ValueError(
                "sampler: pairs are drawn without guidance, without adapter and without told_sigma"
            )
        check_pair_sampler(self.sampler)
        return self


class RegressionConfig(PairsConfig):
    """The control: one evaluation learns what the teacher's sampler makes of the same noise."""

    kind: Literal["regression"] = "regression"
    """On pairs of noise and image that the teacher draws once (Luhman and Luhman 2021)."""

    @property
    def levels(self) -> tuple[float, ...]:
        return (self.sampler.start,)


class DDOConfig(PairsConfig):
    """Full length: the student's likelihood ratio to its teacher tells real from drawn images."""

    kind: Literal["ddo"] = "ddo"
    """Direct discriminative optimization (arXiv 2503.01103): no discriminator but the student, and
    as many evaluations as its teacher."""
    beta: Annotated[Positive, AtMost(1e6, "the ratio would be a step")] = 0.05
    """Factor of the log-likelihood ratio of an image, a sum over its pixels and channels."""
    alpha: Annotated[float, Field(ge=0), AtMost(1e6, "it is a weight beside 1")] = 1.0
    """Weight of the drawn images beside the training images."""

    @property
    def follows_paths(self) -> bool:
        return True


class ConsistencyConfig(StudentConfig):
    """Consistency training from the teacher's weights (ECT, arXiv 2406.14548)."""

    kind: Literal["consistency"] = "consistency"
    """The student learns to give the same image for all states of one path."""
    target: Literal["data", "teacher"] = "data"
    """The lower state of a pair: data with the same noise (consistency training), or a step of the
    teacher from the upper one (consistency distillation)."""
    teacher_solver: Literal["euler", "heun"] = "euler"
    """The teacher's step, for target: teacher; heun asks it twice."""
    ratio: Annotated[float, Field(ge=1), AtMost(1024, "the two levels are then equal")] = 4.0
    """q: the lower level is t (1 - (1 + 8 sigmoid(-t)) / q^stage), and 0 where that is negative."""
    stage_kimg: Annotated[Positive, KIMG] = 100.0
    """Length of a stage (kimg); the levels of a pair move together from stage to stage."""
    mean: Annotated[float, Field(ge=-20), AtMost(14, "e^14 is a noise level of 10^6")] = -0.8
    """Mean of ln(t)."""
    std: Annotated[Positive, AtMost(10, "e^10 is a factor of 20,000")] = 1.6
    """Standard deviation of ln(t)."""
    huber: Annotated[float, Field(ge=0), AtMost(1000, "it is an error of a pixel")] = 0.06
    """c of the distance sqrt(e^2 + c^2) - c of the root mean square error e; 0: e^2."""


class DistributionMatchingConfig(StudentConfig):
    """Distribution matching with a critic that learns the student's own score (DMD2)."""

    kind: Literal["distribution_matching"] = "distribution_matching"
    """The student follows the difference of the teacher's and the critic's denoised images
    (arXiv 2311.18828, 2405.14867)."""
    start: Annotated[tuple[Sigma, ...], Field(min_length=1, max_length=64)] = (80.0,)
    """Noise levels at which the student is called, strictly decreasing: one for each evaluation."""
    critic_steps: Annotated[int, Field(ge=1), AtMost(1000, "the student stands still")] = 5
    """The critic learns at every step, the student at every so many."""
    critic_lr: Rate | None = None
    """Learning rate of the critic; null: lr."""
    critic: bool = True
    """false: the teacher's score alone, which collapses (score distillation); a control."""
    sigma_range: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = (
        0.02,
        0.98,
    )
    """Part of the Karras noise levels from 0.002 to 80 at which the student is compared."""
    regression: Annotated[float, Field(ge=0), AtMost(1e6, "it is a weight beside 1")] = 0.0
    """Weight of DMD's regression on pairs of the teacher; 0: none (DMD2)."""
    pairs: Annotated[int, Field(ge=2), AtMost(10_000_000, "each is drawn by the teacher")] = 20_000
    """Pairs that the teacher draws, for regression above 0."""
    sampler: SamplerConfig = SamplerConfig()
    """The teacher's sampler for these pairs."""
    adversarial: Annotated[float, Field(ge=0), AtMost(1e6, "it is a weight beside 1")] = 0.0
    """Weight of the student's adversarial term, whose logit is the channel mean of the critic's
    bottleneck (SiDA, arXiv 2410.14919); 0: none. DMD2 has 0.003 at 64x64 pixels."""
    adversarial_critic: Annotated[Positive, AtMost(1e6, "it is a weight beside 1")] = 0.01
    """Weight of telling training images from the student's, beside the critic's denoising loss."""
    adversarial_start_kimg: Annotated[float, Field(ge=0), KIMG] = 20.0
    """From here on the student has the term (kimg); the critic learns its part from the start."""

    @property
    def levels(self) -> tuple[float, ...]:
        return self.start

    @property
    def pairs_needed(self) -> int:
        return self.pairs if self.regression else 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(low >= high for high, low in zip(self.start, self.start[1:], strict=False)):
            raise ValueError(f"start: {list(self.start)} does not decrease: list high levels first")
        if self.sigma_range[0] >= self.sigma_range[1]:
            raise ValueError(f"sigma_range: {list(self.sigma_range)}: the first is not below")
        if self.regression and self.start[0] != self.sampler.start:
            raise ValueError(
                f"start: the pairs begin at sampler.sigma_max {self.sampler.start:g}, the student "
                f"at {self.start[0]:g}: make them equal, or set regression: 0"
            )
        if self.regression:
            check_pair_sampler(self.sampler)
        if self.adversarial and not self.critic:
            raise ValueError(
                f"adversarial {self.adversarial:g}: its logit is that of the critic, and there is "
                "none: set critic: true, or adversarial: 0"
            )
        if self.adversarial and self.adversarial_start_kimg >= self.total_kimg:
            raise ValueError(
                f"adversarial_start_kimg {self.adversarial_start_kimg:g} is not below total_kimg "
                f"{self.total_kimg:g}, so the student never has the term: set it lower"
            )
        if self.structure.kind != "none" and self.structure.every % self.critic_steps:
            raise ValueError(
                f"structure.every {self.structure.every} is no multiple of critic_steps "
                f"{self.critic_steps}: the game is played where the student moves"
            )
        return self


STUDENTS: dict[str, type[StudentConfig]] = {
    "regression": RegressionConfig,
    "consistency": ConsistencyConfig,
    "distribution_matching": DistributionMatchingConfig,
    "ddo": DDOConfig,
}
"""{kind: its settings}; training/methods/table.py has the method of the same name."""

Student = Annotated[StudentConfig, ByKind("way to train a student", STUDENTS)]
"""A field of settings that holds a student of any kind."""
