"""Draws images from stored weights: few in this process, many on Ray workers, or in bands."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.ray_jobs.band_workers import draw_in_bands
from pipelines.ray_jobs.tasks import run_tasks
from pipelines.settings.cluster import ClusterConfig
from pipelines.workspace.paths import grid_cache
from sampling.band_plan import band_plan
from sampling.drawing.tally import EvaluationTally
from sampling.from_weights import generate_chunk, generate_counted, with_fitted_levels
from sampling.generate import Progress
from sampling.request import GenerationRequest


def generate_images(
    request: GenerationRequest,
    cluster: ClusterConfig,
    progress: Progress,
    tally: EvaluationTally | None = None,
) -> np.ndarray:
    """Pictures uint8 [N, H, W, C] from the request's weights; they do not depend on the workers.

    progress(done, total) counts images. tally: counts the evaluations of each image, for a solver
    whose images choose their steps. Raises ClusterError if Ray or a worker fails.
    """
    request = on_workers(request)
    request.sampler.time_grid(grid_cache())  # an optimized grid is searched here, once
    count, size = len(request.indices), request.batch_size
    plan = band_plan(request.sampler, cluster.band_workers)
    if plan is not None:
        return draw_in_bands(request, plan, cluster, progress)
    if not cluster.evaluate_workers and count < cluster.spread_above:
        if tally is None:
            return generate_chunk(request, progress)
        pictures, *counts = generate_counted(request, progress)
        tally.put(0, *counts)
        return pictures
    counted = tally is not None
    parts = run_tasks(
        generate_counted if counted else generate_chunk,
        [(part,) for part in request.split(size)],
        cluster,
        lambda done: progress(min(done * size, count), count),
    )
    if tally is None:
        return np.concatenate(parts)
    for number, (_, *counts) in enumerate(parts):
        tally.put(number * size, *counts)
    return np.concatenate([pictures for pictures, *_ in parts])


def on_workers(request: GenerationRequest) -> GenerationRequest:
    """The request as workers may read it, with the levels of grid fitted, found in this process."""
    assert request.weights is not None, "workers load the denoiser from its file"
    # Ray's workers run in another folder, so the path is made absolute. resolve() would follow a
    # link, and the .json lies beside the link.
    weights = str(Path(request.weights).absolute())
    request = replace(request, weights=weights, cache_dir=str(grid_cache()))
    return with_fitted_levels(request)
