"""Pictures from a denoiser in one call."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from models.denoiser import Denoiser, load_denoiser
from sampling.config import SamplerConfig
from sampling.from_weights import generate_pictures
from sampling.request import GenerationRequest
from sampling.stored_sampler import load_sampler


def generate(
    denoiser: Denoiser | str | Path,
    count: int = 64,
    *,
    sampler: SamplerConfig | None = None,
    seed: int = 0,
    labels: Sequence[int] | None = None,
    batch_size: int = 256,
    progress: Callable[[int, int | None], None] | None = None,
) -> np.ndarray:
    """Draw `count` pictures; picture i depends on (seed, i) and its label alone.

    Args:
        denoiser: from `load_denoiser`, or the path of its .safetensors file or exported folder.
        sampler: None: that of the exported folder whose path is given, else Heun with 18 steps.
        labels: class numbers, repeated in turn; -1: unconditional. None: all classes in turn, or
            unconditional where the denoiser has none.
        batch_size: pictures drawn at once; decides no picture but for rounding.
        progress: called with (pictures done, count).

    Returns:
        uint8 [count, H, W, C]. Raises ValueError for a label that the denoiser does not have.
    """
    loaded, request = asked(denoiser, range(count), sampler, seed, labels, batch_size)
    return generate_pictures(loaded, request, progress)


def asked(
    denoiser: Denoiser | str | Path,
    numbers: Sequence[int],
    sampler: SamplerConfig | None,
    seed: int,
    labels: Sequence[int] | None,
    batch_size: int = 256,
) -> tuple[Denoiser, GenerationRequest]:
    """The loaded denoiser, and the request for pictures of these numbers; see `generate`."""
    if not isinstance(denoiser, Denoiser):
        sampler = sampler or load_sampler(denoiser)
        denoiser = load_denoiser(denoiser)
    classes = denoiser.num_classes
    wanted = list(range(classes) or [-1]) if labels is None else list(labels)
    unknown = [label for label in wanted if not -1 <= label < classes]
    if unknown or not wanted:
        known = f"0 to {classes - 1}, and -1" if classes else "-1 alone"
        raise ValueError(f"labels {unknown or wanted}: this denoiser knows {known}")
    request = GenerationRequest(
        sampler=sampler or SamplerConfig(),
        seed=seed,
        indices=numbers,
        labels=np.resize(np.asarray(wanted, np.int64), len(numbers)),
        batch_size=batch_size,
    )
    return denoiser, request
