"""Finds the levels of grid fitted for a denoiser with its guidance."""

from pathlib import Path
from typing import Any

import torch

from sampling.config import SamplerConfig
from sampling.drawing.contents import contents_hash
from sampling.drawing.networks import evaluating
from sampling.drawing.ways import SamplerWays
from sampling.grids.table import make_grid
from sampling.guidance.base import LabelledDenoiser, bind_labels
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise

SEED = 240515506
"""Of the images on which a grid is fitted: no other images are asked for with it."""
PATHS = ("weights", "predictor", "attribute")
"""Keys of guidance that name files, whose contents are hashed."""


def fitted_sampler(
    denoiser: LabelledDenoiser, request: GenerationRequest, device: torch.device
) -> SamplerConfig:
    """The request's sampler with the levels that grid fitted finds; itself with any other grid.

    denoiser: with adapter and guidance. The levels depend on weights, settings and captions alone,
    and are kept in the request's cache_dir.
    """
    sampler = request.sampler
    if sampler.grid != "fitted":
        return sampler
    # By its table, so that its code counts where params choose it (pipelines/workspace).
    grid: Any = make_grid(sampler.grid, **sampler.grid_options)
    generators = image_generators(SEED, range(grid.images))
    noise = image_noise(generators, denoiser.image_shape, device=device)
    ways = SamplerWays(
        sampler.make_solver(),
        bind_labels(denoiser, all_labels(denoiser, grid.images).to(device)),
        noise,
        denoiser.sigma_data,
    )
    cache_dir = Path(request.cache_dir) if request.cache_dir else None
    with torch.no_grad(), evaluating(denoiser):
        levels = grid.fit(
            ways,
            *(sampler.steps, sampler.sigma_min, sampler.sigma_max),
            facts=_facts(denoiser, request),
            cache_dir=cache_dir,
        )
    return sampler.with_levels(levels.tolist())


def all_labels(denoiser: LabelledDenoiser, count: int) -> torch.Tensor:
    """All labels in turn, int64 [count]; -1 for a denoiser without."""
    if not denoiser.num_classes:
        return torch.full((count,), -1)
    return torch.arange(count) % denoiser.num_classes


def _facts(denoiser: LabelledDenoiser, request: GenerationRequest) -> list | None:
    """What decides the levels besides the grid's own settings; None where it cannot be listed."""
    contents = contents_hash(denoiser)
    if contents is None:
        return None
    settings = request.sampler.model_dump(mode="json")
    for entry in settings["guidance"]:
        for path in PATHS:
            entry.pop(path, None)
    return [contents, settings, list(request.prompts)]
