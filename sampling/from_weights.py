"""What a sampler's guidance needs beside the denoiser: a guiding network, a classifier."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.denoiser import Denoiser, load_denoiser
from models.extractors.load import load_classifier
from sampling.config import SamplerConfig
from sampling.generate import generate_batches
from sampling.guidance.gradient import ClassifierLogProb


def make_guides(
    sampler: SamplerConfig, weights: Path, denoiser: Denoiser, device: torch.device | str,
    classifier: Path | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """Helpers by kind of guidance, None where none is needed; missing ones are one clear error.

    `weights` is the guided denoiser's own file: autoguidance by `length` looks beside it.
    """
    guides: dict[str, Any] = {}
    for entry in sampler.guidance:
        if entry.kind == "autoguidance":
            if entry.weights is None and entry.length is None:
                raise ValueError(
                    "guidance autoguidance needs weights (a file) or length (an EMA length among "
                    "ema.lengths): give one of them"
                )
            if entry.weights is not None:
                path = Path(entry.weights)
            else:
                path = Path(weights).parent / f"{entry.length:g}.safetensors"
            guides["autoguidance"] = load_denoiser(path, device)
        elif entry.kind == "gradient":
            if classifier is None:
                raise ValueError(
                    "guidance gradient needs a classifier that is not the metric's: use it with "
                    "python -m pipelines.sample --classifier FILE, not in evaluate"
                )
            guides["gradient"] = ClassifierLogProb(
                denoiser, load_classifier(classifier).to(device), denoiser.codec
            )
    return guides or None


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
    return np.concatenate([denoiser.codec.decode(batch) for batch in batches])
