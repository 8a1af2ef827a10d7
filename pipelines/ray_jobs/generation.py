"""Generated images of a stored denoiser: in the process when few, over Ray workers when many."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines.ray_jobs.tasks import spread
from pipelines.settings.cluster import ClusterConfig
from pipelines.workspace.paths import grid_cache
from sampling.config import SamplerConfig
from sampling.from_weights import generate_chunk


def generate_images(weights: Path, sampler: SamplerConfig, seed: int, labels: np.ndarray,
                    batch_size: int, cluster: ClusterConfig, progress: Callable) -> np.ndarray:  # fmt: skip
    """uint8 images [N, H, W, C], one per label; the same however they are spread."""
    fixed = (str(Path(weights).resolve()), sampler.model_dump_json(), seed)
    cache = str(grid_cache())
    sampler.time_grid(grid_cache())  # an optimised grid is searched once, not by every worker
    if not cluster.evaluate_workers and len(labels) < cluster.spread_above:
        return generate_chunk(*fixed, 0, labels, batch_size, cache, progress)
    chunks = [
        (*fixed, start, labels[start : start + batch_size], batch_size, cache)
        for start in range(0, len(labels), batch_size)
    ]
    parts = spread(generate_chunk, chunks, cluster,
                   lambda done: progress(min(done * batch_size, len(labels)), len(labels)))  # fmt: skip
    return np.concatenate(parts)
