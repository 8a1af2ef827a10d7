"""How many workers share an image, and how: two sides of guidance, then bands of rows.

Without torch, so that params are checked with it too.
"""

from dataclasses import dataclass

from models.config import ModelConfig
from sampling.config import SamplerConfig, whole_images_only


@dataclass(frozen=True)
class BandPlan:
    """How `workers` share an image."""

    groups: int
    """2: each evaluates one half of a batch of two sides; 1: all evaluate all of it."""
    bands: int
    """Of an image, one for each worker of a group."""
    warm_up: int | None
    """None: every evaluation is fresh, so the images are those of one worker."""

    @property
    def workers(self) -> int:
        """Workers in all."""
        return self.groups * self.bands


def band_plan(sampler: SamplerConfig, workers: int) -> BandPlan | None:
    """How so many workers share the sampler's images; None: they cannot, so one process draws.

    Guidance comes first: where it has two sides and the workers are even in number, each half of
    them takes one. A displaced sampler has its own number of bands, which the workers must fit.
    Guidance that reaches into the network is drawn by one process, and so is a solver whose images
    each choose their steps.
    """
    if sampler.counts_calls or any(whole_images_only(entry) for entry in sampler.guidance):
        return None
    groups = 2 if two_sides(sampler) else 1
    if sampler.bands is None:
        groups = groups if workers % groups == 0 else 1
        return BandPlan(groups, workers // groups, None) if workers > 1 else None
    for sides in sorted({groups, 1}, reverse=True):
        if workers == sides * sampler.bands.count > 1:
            return BandPlan(sides, sampler.bands.count, sampler.bands.warm_up)
    return None


def two_sides(sampler: SamplerConfig) -> bool:
    """Whether guidance evaluates the denoiser with labels and without, in one batch."""
    return any(
        entry.kind == "classifier_free" and getattr(entry, "weight", 1.0) != 1.0
        for entry in sampler.guidance
    )


def check_bands(count: int, height: int, model: ModelConfig) -> None:
    """Raise ValueError where images of so many rows cannot be cut into `count` equal bands.

    model: of the network, each of whose levels but the first halves a band.
    """
    refusal = model.not_in_bands()
    if refusal is not None:
        raise ValueError(f"{refusal}: leave bands out")
    factor = model.divisor
    possible = [n for n in range(1, height // factor + 1) if height // factor % n == 0]
    if height % factor or count not in possible:
        raise ValueError(
            f"{height} rows cannot be cut into {count} equal bands whose rows are a multiple of "
            f"{factor}: choose one of {', '.join(map(str, possible))}"
        )
