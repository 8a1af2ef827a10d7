"""Finds bands that do not divide the images of these params."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sampling.band_plan import band_plan, check_bands

if TYPE_CHECKING:
    from pipelines.settings.schema import Params


def band_problems(params: "Params", rows: Callable[[], int]) -> Iterator[str]:
    """One line for each problem. rows: of what the denoiser sees; asked only where bands are.

    Where it raises ValueError, another check says why.
    """
    workers = params.cluster.band_workers
    for name in dict.fromkeys(params.samplers):
        sampler = params.sampling.get(name)
        if sampler is None:
            continue
        if sampler.bands is not None:
            where, count = f"sampling.{name}.bands.count", sampler.bands.count
        else:
            plan = band_plan(sampler, workers)
            if plan is None:
                continue
            where, count = f"cluster.band_workers: {workers} for sampler {name}", plan.bands
        try:
            height = rows()
        except ValueError:
            return
        try:
            check_bands(count, height, params.model)
        except ValueError as error:
            yield f"{where}: {error}"
