"""From the seconds of single steps to the duration of a training and of sampling."""

from dataclasses import dataclass

from pipelines.settings.schema import Params
from sampling.config import SamplerConfig
from sampling.for_students import student_sampler
from sampling.guidance.table import network_evaluations
from training.run_settings import RunSettings

PICTURED = 40
"""Images of one set of preview pictures."""
PREVIEW_NFE = 23
"""Network evaluations for each: 12 steps of Heun; a student is called at its own levels."""


@dataclass(frozen=True)
class Costs:
    """Seconds, on the machine that measured them."""

    step: float
    """Of an optimiser step without the game."""
    play: float
    """What a play of the structure game adds to a step; 0 without a game."""
    held_out: float
    """Of a measurement of the held-out loss."""
    evaluation: float
    """Of one network evaluation of one image while sampling."""


class TrainingWork:
    """The work of a run up to a number of images seen, in seconds if the costs are known.

    Without costs the work is the number of images. A play of the game is counted at the steps that
    have one, from structure.start_kimg on, with the gate open.
    """

    def __init__(self, settings: RunSettings, costs: Costs | None = None):
        self.settings, self.costs = settings, costs
        self.total_nimg = settings.total_nimg

    def until(self, nimg: int) -> float:
        """The work from the start of the run until `nimg` images have been seen."""
        costs, settings = self.costs, self.settings
        if costs is None:
            return float(nimg)
        images, kimg = settings.train.batch_size, nimg / 1000
        measured = kimg // settings.train.held_out_every_kimg
        every = settings.sample_every_kimg
        pictures = kimg // every if every else 0
        student = settings.student
        each = PREVIEW_NFE
        if student is not None and not student.follows_paths:
            each = student_sampler(student.levels).nfe
        return (
            costs.step * nimg / images
            + costs.play * self.plays(nimg)
            + costs.held_out * measured
            + costs.evaluation * PICTURED * each * pictures
        )

    def between(self, before: int, after: int) -> float:
        """The work between two numbers of images."""
        return self.until(after) - self.until(before)

    def plays(self, nimg: int) -> int:
        """How often the game has been played when `nimg` images have been seen."""
        game, images = self.settings.structure, self.settings.train.batch_size
        if game.kind == "none":
            return 0
        first = max(0, -(-round(game.start_kimg * 1000) // images))  # step at which the game begins
        steps = nimg // images

        def multiples(below: int) -> int:
            return -(-below // game.every)

        return max(0, multiples(steps) - multiples(first))


def judged_samplers(params: Params) -> list[str]:
    """The sampler of every item that is judged: those of the denoiser, then those of students."""
    students = [params.students[name] for name in params.distil]
    return [
        *(name for _ in params.ema.lengths for name in params.samplers),
        *(name for one in students for _ in one.lengths for name in one.samplers),
    ]


def sampling_seconds(params: Params, costs: Costs) -> float:
    """Seconds to draw the images of all items that are judged, one after the other."""
    evaluations = sum(_evaluations(params.sampling[name]) for name in judged_samplers(params))
    return costs.evaluation * evaluations * params.evaluation.num_images


def pairs_seconds(settings: RunSettings, costs: Costs) -> float:
    """Seconds that the teacher of a student takes for its pairs; 0 where it draws none."""
    student = settings.student
    if student is None or not student.pairs_needed:
        return 0.0
    sampler: SamplerConfig = student.sampler  # type: ignore[attr-defined]
    return costs.evaluation * sampler.nfe * student.pairs_needed


def _evaluations(sampler: SamplerConfig) -> float:
    """Network evaluations per image, with guidance as in the middle of the noise levels.

    An optimized grid is not searched for this, since that can take minutes.
    """
    middle = (sampler.sigma_min * sampler.sigma_max) ** 0.5
    each = network_evaluations(sampler.guidance, middle) if sampler.guidance else 1
    return sampler.nfe * each


def about(seconds: float) -> str:
    """Words such as "about 40 seconds", "about 12 minutes", "about 3.5 hours"."""
    if seconds < 90:
        return (
            f"about {max(1, round(seconds, -1) if seconds >= 10 else round(seconds)):.0f} seconds"
        )
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    hours = seconds / 3600
    if hours < 48:
        return f"about {hours:.1f} hours" if hours < 10 else f"about {hours:.0f} hours"
    return f"about {hours / 24:.1f} days"
