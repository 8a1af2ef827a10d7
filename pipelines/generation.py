"""Generated images of a stored denoiser: in the process when few, over Ray workers when many."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dataset.pixels import to_uint8
from dataset.slots import slot_indices
from dataset.store import ImageDataset
from models.denoiser import load_denoiser
from pipelines.cluster import spread
from pipelines.cluster_config import ClusterConfig
from pipelines.guides import make_guides
from pipelines.identity import grid_cache
from sampling.config import SamplerConfig
from sampling.generate import generate_batches


def generation_labels(
    dataset: ImageDataset, seed: int, count: int, *, conditional: bool = True
) -> np.ndarray:
    """Label of each generated image, int64 [count]: those of shuffled training images.

    Image i's label depends on (seed, i) and the data set alone; -1 without labels, or where the
    denoiser is not `conditional`: its images were asked to show nothing, and are judged so.
    """
    if not (dataset.num_classes and conditional):
        return np.full(count, -1, np.int64)
    labels = np.asarray(dataset.labels)[dataset.train_indices]
    return labels[slot_indices(seed, len(labels), range(count))]


def generate_chunk(weights: str, sampler_json: str, seed: int, start: int, labels: np.ndarray,
                   batch_size: int, cache: str, progress: Callable | None = None) -> np.ndarray:  # fmt: skip
    """uint8 images [N, H, W, C] of the indices start ... start + len(labels) - 1."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    denoiser = load_denoiser(weights, device)
    indices = range(start, start + len(labels))
    asked = torch.from_numpy(labels) if denoiser.num_classes else None
    sampler = SamplerConfig.model_validate_json(sampler_json)
    guides = make_guides(sampler, Path(weights), denoiser, device)
    batches = generate_batches(
        denoiser, sampler, seed, indices, asked,
        batch_size, progress=progress, guide=guides, cache_dir=Path(cache),
    )  # fmt: skip
    return np.concatenate([np.asarray(to_uint8(batch)) for batch in batches])


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
