"""Draws images from stored weights: few in this process, many on Ray workers, or in bands."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.ray_jobs.band_workers import draw_in_bands
from pipelines.ray_jobs.tasks import run_tasks
from pipelines.settings.cluster import ClusterConfig
from pipelines.workspace.paths import grid_cache
from sampling.band_plan import band_plan
from sampling.from_weights import generate_chunk
from sampling.generate import Progress
from sampling.request import GenerationRequest


def generate_images(
    request: GenerationRequest, cluster: ClusterConfig, progress: Progress
) -> np.ndarray:
    """Pictures uint8 [N, H, W, C] from the request's weights; they do not depend on the workers.

    progress(done, total) counts images. Raises ClusterError if Ray or a worker fails.
    """
    assert request.weights is not None, "workers load the denoiser from its file"
    # Ray's workers run in another folder, so the path is made absolute. resolve() would follow a
    # link, and the .json lies beside the link.
    weights = str(Path(request.weights).absolute())
    request = replace(request, weights=weights, cache_dir=str(grid_cache()))
    request.sampler.time_grid(grid_cache())  # an optimized grid is searched here, once
    count, size = len(request.indices), request.batch_size
    plan = band_plan(request.sampler, cluster.band_workers)
    if plan is not None:
        return draw_in_bands(request, plan, cluster, progress)
    if not cluster.evaluate_workers and count < cluster.spread_above:
        return generate_chunk(request, progress)
    parts = run_tasks(
        generate_chunk,
        [(part,) for part in request.split(size)],
        cluster,
        lambda done: progress(min(done * size, count), count),
    )
    return np.concatenate(parts)
