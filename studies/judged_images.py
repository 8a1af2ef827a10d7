"""Draws the images of a study from stored weights, and judges them."""

from pathlib import Path

import numpy as np

from dataset.store import ImageDataset
from evaluation.config import EvaluationConfig
from evaluation.judge import judge
from evaluation.reference import Reference
from models.denoiser import load_denoiser
from pipelines.workspace.paths import grid_cache
from sampling.config import SamplerConfig
from sampling.from_weights import generate_pictures
from sampling.labels import generation_labels
from sampling.request import GenerationRequest

GENERATION_SEED = 20_000  # of the images judged, where a study names no other
SHOWN_IMAGES = 64  # of those judged, in the picture beside each file of metrics


def judged_images(
    weights: Path,
    sampler: SamplerConfig,
    dataset: ImageDataset,
    reference: Reference,
    config: EvaluationConfig,
    floors: Path,
    seed: int = GENERATION_SEED,
) -> tuple[np.ndarray, dict[str, dict]]:
    """(images uint8 [config.num_images, H, W, C], {metric: {value, floor, ...}}).

    Classes are as frequent as in the training images. floors: folder in which floors are kept.
    seed: of the images; metrics draw by GENERATION_SEED, so that all have the same floors.
    """
    denoiser = load_denoiser(weights)
    labels = generation_labels(
        dataset,
        seed,
        config.num_images,
        conditional=denoiser.num_classes > 0,
        images=reference.train_indices,
    )
    request = GenerationRequest(
        sampler=sampler,
        seed=seed,
        indices=range(config.num_images),
        labels=labels,
        batch_size=config.batch_size,
        weights=str(weights),
        cache_dir=str(grid_cache()),
    )
    pixels = generate_pictures(denoiser, request)
    result = judge(pixels, labels, reference, config, GENERATION_SEED, floors=floors)
    return pixels, result["metrics"]
