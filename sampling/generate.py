"""From a denoiser to images: image i depends on (seed, i) and its label alone."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from models.layers.low_rank_adapter import AdaptedDenoiser
from sampling.config import SamplerConfig
from sampling.guidance.base import Guide, LabelledDenoiser, bind_labels
from sampling.guidance.table import guide_denoiser
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import solve

Progress = Callable[[int, int | None], None]


def generate_batches(
    denoiser: LabelledDenoiser,
    sampler: SamplerConfig,
    seed: int,
    indices: Sequence[int],
    labels: Tensor | None = None,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    guide: Guide = None,
    cache_dir: Path | None = None,
) -> Iterator[Tensor]:
    """Images of the given indices, batch by batch: float32 [b, C, H, W] on the CPU, in [-1, 1]
    up to the model's own overshoot.

    labels: int64, one per index, -1 = unconditional; None = all -1. guide: see guide_denoiser.
    device: where the denoiser is, by default. cache_dir keeps optimized grids. progress(done,
    total) is called after each batch. All input is checked before the first evaluation.
    """
    indices = [int(index) for index in indices]
    labels = _checked_labels(denoiser, labels, len(indices))
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: at least one image a batch")
    if sampler.adapter:
        denoiser = AdaptedDenoiser(cast(torch.nn.Module, denoiser))
    guided = guide_denoiser(denoiser, sampler.guidance, guide)
    sigmas = sampler.time_grid(cache_dir)
    place = torch.device(device) if device is not None else _home(denoiser)
    return _batches(guided, sampler, sigmas, seed, indices, labels, batch_size, place, progress)


def generate(
    denoiser: LabelledDenoiser,
    sampler: SamplerConfig,
    seed: int,
    indices: Sequence[int],
    labels: Tensor | None = None,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    guide: Guide = None,
    cache_dir: Path | None = None,
) -> Tensor:
    """All images of `generate_batches` in one tensor, float32 [N, C, H, W] on the CPU."""
    batches = list(
        generate_batches(
            denoiser,
            sampler,
            seed,
            indices,
            labels,
            batch_size=batch_size,
            device=device,
            progress=progress,
            guide=guide,
            cache_dir=cache_dir,
        )
    )
    return torch.cat(batches) if batches else torch.empty(0, *denoiser.image_shape)


def _batches(
    guided: LabelledDenoiser,
    sampler: SamplerConfig,
    sigmas: Tensor,
    seed: int,
    indices: list[int],
    labels: Tensor,
    batch_size: int,
    device: torch.device,
    progress: Progress | None,
) -> Iterator[Tensor]:
    options: dict[str, Any] = dict(sampler.solver_options)
    for start in range(0, len(indices), batch_size):
        chosen = slice(start, start + batch_size)
        # CPU generators give the same noise whichever device the network runs on.
        generators = image_generators(seed, indices[chosen])
        noise = image_noise(generators, guided.image_shape, device=device)
        denoise = bind_labels(guided, labels[chosen].to(device))
        with torch.no_grad(), _evaluating(guided):
            images = solve(sampler.solver, denoise, noise, sigmas, generators=generators, **options)
        yield images.float().cpu()
        if progress is not None:
            progress(min(start + batch_size, len(indices)), len(indices))


class _evaluating:
    """Evaluation mode inside, each module's own mode restored after."""

    def __init__(self, denoiser: LabelledDenoiser) -> None:
        modules = denoiser.modules() if isinstance(denoiser, torch.nn.Module) else ()
        self.modes = [(module, module.training) for module in modules]

    def __enter__(self) -> None:
        for module, _ in self.modes:
            module.training = False

    def __exit__(self, *failure: object) -> None:
        for module, mode in self.modes:
            module.training = mode


def _checked_labels(denoiser: LabelledDenoiser, labels: Tensor | None, count: int) -> Tensor:
    if labels is None:
        return torch.full((count,), -1, dtype=torch.int64)
    labels = torch.as_tensor(labels, dtype=torch.int64).cpu()
    if labels.shape != (count,):
        raise ValueError(f"labels have shape {tuple(labels.shape)} for {count} images")
    if count and not -1 <= int(labels.min()) <= int(labels.max()) < max(denoiser.num_classes, 1):
        bad = next(int(v) for v in labels if not -1 <= v < max(denoiser.num_classes, 1))
        raise ValueError(
            f"label {bad} is not one of the denoiser's {denoiser.num_classes} classes "
            "(-1 is unconditional)"
        )
    return labels


def _home(denoiser: LabelledDenoiser) -> torch.device:
    """The device of the denoiser's first parameter or buffer."""
    if isinstance(denoiser, torch.nn.Module):
        for tensor in (*denoiser.parameters(), *denoiser.buffers()):
            return tensor.device
    return torch.device("cpu")
