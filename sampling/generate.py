"""Draws images from a denoiser: image i depends on (seed, i) and its label alone."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from models.layers.low_rank_adapter import AdaptedDenoiser
from sampling.config import SamplerConfig
from sampling.guidance.base import Guide, Guided, LabelledDenoiser, bind_labels
from sampling.guidance.table import guide_denoiser
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.solvers.step import Denoise
from sampling.solvers.table import solve

Progress = Callable[[int, int | None], None]


def generate(
    denoiser: LabelledDenoiser,
    sampler: SamplerConfig,
    seed: int,
    indices: Sequence[int],
    labels: Tensor | np.ndarray | None = None,
    *,
    batch_size: int = 256,
    guide: Guide = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Images drawn from a loaded denoiser, as one tensor float32 [N, C, H, W] on the CPU.

    labels: int64 [N]; None makes all images unconditional (-1). For the other arguments see
    `GenerationRequest` and `generate_batches`.
    """
    request = GenerationRequest(
        sampler=sampler,
        seed=seed,
        indices=indices,
        labels=np.full(len(indices), -1) if labels is None else np.asarray(labels),
        batch_size=batch_size,
    )
    batches = list(generate_batches(denoiser, request, guide=guide, device=device))
    return torch.cat(batches) if batches else torch.empty(0, *denoiser.image_shape)


def generate_batches(
    denoiser: LabelledDenoiser,
    request: GenerationRequest,
    *,
    guide: Guide = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Iterator[Tensor]:
    """The images of a request, batch by batch: float32 [b, C, H, W] on the CPU.

    They are in data units and not clipped: pixel data can lie slightly outside [-1, 1]. guide: see
    guide_denoiser. device: by default the denoiser's. progress(done, total), in images, is called
    after each batch, and within one as its evaluations go on. Raises ValueError for unusable input
    before the first evaluation.
    """
    sampler, indices = request.sampler, [int(index) for index in request.indices]
    labels = _checked_labels(denoiser, request)
    guided = guide_denoiser(as_sampled(denoiser, sampler), sampler.guidance, guide)
    sigmas = sampler.time_grid(Path(request.cache_dir) if request.cache_dir else None)
    target = torch.device(device) if device is not None else device_of(denoiser)
    options: dict[str, Any] = dict(sampler.solver_options)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(indices), request.batch_size):
            chosen = slice(start, start + request.batch_size)
            # CPU generators give the same noise whichever device the network runs on.
            generators = image_generators(request.seed, indices[chosen])
            noise = image_noise(generators, guided.image_shape, device=target)
            denoise = bind_labels(guided, labels[chosen].to(target))
            if progress is not None:
                denoise = _counted(denoise, progress, start, len(indices), sampler.nfe)
            with torch.no_grad(), _evaluating(guided):
                images = solve(
                    sampler.solver, denoise, noise, sigmas, generators=generators, **options
                )
            yield images.float().cpu()
            if progress is not None:
                progress(start + len(images), len(indices))

    return batches()


def _counted(
    denoise: Denoise, progress: Progress, start: int, total: int, evaluations: int
) -> Denoise:
    """`denoise`, which tells what share of its batch's evaluations is done, as images."""
    calls, told = 0, 0

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        nonlocal calls, told
        result = denoise(x, sigma)
        calls += 1
        done = len(x) * calls // evaluations
        if told < done < len(x):
            told = done
            progress(start + done, total)
        return result

    return counted


def as_sampled(denoiser: LabelledDenoiser, sampler: SamplerConfig) -> LabelledDenoiser:
    """The denoiser, with its adapter switched on if the sampler's settings say so.

    Raises ValueError if they do and the denoiser has no adapter.
    """
    return AdaptedDenoiser(cast(torch.nn.Module, denoiser)) if sampler.adapter else denoiser


def device_of(denoiser: LabelledDenoiser) -> torch.device:
    """The device of the denoiser's first parameter or buffer."""
    for network in networks_of(denoiser):
        for tensor in (*network.parameters(), *network.buffers()):
            return tensor.device
    return torch.device("cpu")


def networks_of(denoiser: object) -> Iterator[torch.nn.Module]:
    """The denoiser where it is a network; the networks that guidance holds, however it nests."""
    if isinstance(denoiser, torch.nn.Module):
        yield denoiser
    elif isinstance(denoiser, Guided):
        for part in vars(denoiser).values():
            yield from networks_of(part)


class _evaluating:
    """Context in which all modules are in evaluation mode; afterwards each has its mode back."""

    def __init__(self, denoiser: LabelledDenoiser) -> None:
        self.modes = [
            (module, module.training)
            for network in networks_of(denoiser)
            for module in network.modules()
        ]

    def __enter__(self) -> None:
        for module, _ in self.modes:
            module.training = False

    def __exit__(self, *failure: object) -> None:
        for module, mode in self.modes:
            module.training = mode


def _checked_labels(denoiser: LabelledDenoiser, request: GenerationRequest) -> Tensor:
    """The request's labels, int64 [N] on the CPU; ValueError for an unknown class."""
    classes = max(denoiser.num_classes, 1)
    labels = torch.tensor(request.labels, dtype=torch.int64)  # a copy: Ray's arrays are read-only
    if len(labels) and not -1 <= int(labels.min()) <= int(labels.max()) < classes:
        bad = next(int(v) for v in labels if not -1 <= v < classes)
        raise ValueError(
            f"label {bad} is not one of the denoiser's {denoiser.num_classes} classes "
            "(-1 is unconditional)"
        )
    return labels
