"""Generated images of a stored denoiser: in the process when few, over Ray workers when many."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.ray_jobs.tasks import run_tasks
from pipelines.settings.cluster import ClusterConfig
from pipelines.workspace.paths import grid_cache
from sampling.from_weights import generate_chunk
from sampling.generate import Progress
from sampling.request import GenerationRequest


def generate_images(
    request: GenerationRequest, cluster: ClusterConfig, progress: Progress
) -> np.ndarray:
    """uint8 images [N, H, W, C] of the request's weights; the same however they are shared out."""
    assert request.weights is not None, "workers load the denoiser from its file"
    # Ray's workers run in a folder of their own; resolve() would leave the .json beside a link.
    weights = str(Path(request.weights).absolute())
    request = replace(request, weights=weights, cache_dir=str(grid_cache()))
    request.sampler.time_grid(grid_cache())  # searched here, while no worker waits for it
    count, size = len(request.indices), request.batch_size
    if not cluster.evaluate_workers and count < cluster.spread_above:
        return generate_chunk(request, progress)
    parts = run_tasks(
        generate_chunk,
        [(part,) for part in request.split(size)],
        cluster,
        lambda done: progress(min(done * size, count), count),
    )
    return np.concatenate(parts)
