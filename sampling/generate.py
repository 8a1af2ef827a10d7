"""Draws images from a denoiser: image i depends on (seed, i) and its label alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from models.layers.low_rank_adapter import AdaptedDenoiser
from models.layers.prepared_weights import weights_prepared
from sampling.banded import BandedDenoiser
from sampling.config import SamplerConfig
from sampling.division import Division, divided_guide, in_one_process
from sampling.editing.edit import Edit
from sampling.editing.resampling import evaluations
from sampling.editing.solve_edit import solve_edit
from sampling.guidance.base import Guide, Guided, LabelledDenoiser, bind_labels
from sampling.guidance.table import guide_denoiser
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import solve
from sampling.told_sigma import ToldSigma

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
    edit: Edit | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Images drawn from a loaded denoiser, as one tensor float32 [N, C, H, W] on the CPU.

    labels: int64 [N]; None makes all images unconditional (-1). edit: an image that is edited, in
    data units; the N images are N results. For the other arguments see
    `GenerationRequest` and `generate_batches`.
    """
    request = GenerationRequest(
        sampler=sampler,
        seed=seed,
        indices=indices,
        labels=np.full(len(indices), -1) if labels is None else np.asarray(labels),
        batch_size=batch_size,
        edit=edit,
    )
    drawing = generate_batches(denoiser, request, guide=guide, device=device, progress=progress)
    batches = list(drawing)
    return torch.cat(batches) if batches else torch.empty(0, *denoiser.image_shape)


def generate_batches(
    denoiser: LabelledDenoiser,
    request: GenerationRequest,
    *,
    guide: Guide = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    division: Division | None = None,
) -> Iterator[Tensor]:
    """The images of a request, batch by batch: float32 [b, C, H, W] on the CPU.

    They are in data units and not clipped: pixel data can lie slightly outside [-1, 1]. guide: see
    guide_denoiser. device: by default the denoiser's. progress(done, total), in images, is called
    after each batch, and within one as its evaluations go on. division: see `prepare`. Raises
    ValueError for unusable input before the first evaluation.
    """
    indices = [int(index) for index in request.indices]
    labels = checked_labels(denoiser, request)
    drawing = prepare(denoiser, request, guide=guide, device=device, division=division)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(indices), request.batch_size):
            chosen = slice(start, start + request.batch_size)
            generators = image_generators(request.seed, indices[chosen])
            noise = drawing.noise(generators)
            evaluated = None
            if progress is not None:
                evaluated = _shares(progress, start, len(indices), drawing.evaluations)
            images = drawing.solve(noise, labels[chosen], generators, evaluated=evaluated)
            yield images.float().cpu()
            if progress is not None:
                progress(start + len(images), len(indices))

    return batches()


def _shares(progress: Progress, start: int, total: int, evaluations: int) -> Callable[[int], None]:
    """Tells what share of a batch's evaluations is done, as images after the first `start`."""
    calls, told = 0, 0

    def evaluated(count: int) -> None:
        nonlocal calls, told
        calls += 1
        done = count * calls // evaluations
        if told < done < count:
            told = done
            progress(start + done, total)

    return evaluated


@dataclass(frozen=True)
class Drawing:
    """What one needs to draw images of one request: `prepare` makes it."""

    denoiser: LabelledDenoiser
    """With its adapter and guidance, as the sampler asks."""
    sampler: SamplerConfig
    sigmas: Tensor
    """The time grid, float64 [steps + 1]."""
    device: torch.device
    edit: Edit | None = None
    """The image that is edited; None: images are drawn from noise alone."""

    @property
    def evaluations(self) -> int:
        """The solver's calls of the denoiser per image (NFE)."""
        if self.edit is None:
            return self.sampler.nfe
        runs = self.edit.runs(len(self.sigmas) - 1)
        return evaluations(self.sampler.make_solver(), self.sigmas.tolist(), runs)

    def noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Unit normal noise [B, C, H, W]; CPU generators give the same on every device."""
        return image_noise(generators, self.denoiser.image_shape, device=self.device)

    def solve(
        self,
        noise: Tensor,
        labels: Tensor,
        generators: Sequence[torch.Generator] | None = None,
        callback: Callable[[int, Tensor, Tensor], None] | None = None,
        evaluated: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Images [B, C, H, W] in data units, from noise and labels int64 [B]; see `solve`.

        evaluated(B): called after each evaluation of the denoiser.
        """
        bound = bind_labels(self.denoiser, labels.to(self.device))

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            result = bound(x, sigma)
            if evaluated is not None:
                evaluated(len(x))
            return result

        options: dict[str, Any] = dict(self.sampler.solver_options)
        with torch.no_grad(), _evaluating(self.denoiser):
            if self.edit is not None:
                return solve_edit(
                    self.edit,
                    self.sampler.make_solver(),
                    denoise,
                    noise,
                    self.sigmas,
                    generators=generators,
                    callback=callback,
                    renoised=lambda: _restart_bands(self.denoiser),
                )
            return solve(
                self.sampler.solver,
                denoise,
                noise,
                self.sigmas,
                generators=generators,
                callback=callback,
                **options,
            )

    def denoised(self, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
        """D(x; sigma, labels) [B, C, H, W], with the guidance."""
        levels = torch.full((len(x),), sigma, device=x.device)
        with torch.no_grad(), _evaluating(self.denoiser):
            return self.denoiser(x, levels, labels.to(self.device)).to(x.dtype)


def prepare(
    denoiser: LabelledDenoiser,
    request: GenerationRequest,
    *,
    guide: Guide = None,
    device: torch.device | str | None = None,
    division: Division | None = None,
) -> Drawing:
    """The guided denoiser and the time grid of a request; for the arguments see generate_batches.

    division: how this process shares images with others; by default it draws alone. Raises
    ValueError where guidance lacks what it needs, for an edited image of another shape, and where
    images cannot be cut into bands.
    """
    sampler = request.sampler
    division = division or in_one_process(sampler)
    where = torch.device(device) if device is not None else device_of(denoiser)
    if division is not None:
        denoiser, guide = division.network(denoiser), divided_guide(guide, sampler, division)
    if request.edit is not None and request.edit.image.shape != tuple(denoiser.image_shape):
        raise ValueError(
            f"image {list(request.edit.image.shape)}: the denoiser draws "
            f"{list(denoiser.image_shape)}: give an image of that shape"
        )
    return Drawing(
        guide_denoiser(as_sampled(denoiser, sampler), sampler.guidance, guide),
        sampler,
        sampler.time_grid(Path(request.cache_dir) if request.cache_dir else None),
        where,
        request.edit,
    )


def as_sampled(denoiser: LabelledDenoiser, sampler: SamplerConfig) -> LabelledDenoiser:
    """The denoiser, with its adapter and told another noise level if the sampler's settings say so.

    Raises ValueError if they name an adapter and the denoiser has none.
    """
    if sampler.adapter:
        denoiser = AdaptedDenoiser(cast(torch.nn.Module, denoiser))
    return denoiser if sampler.told_sigma == 1 else ToldSigma(denoiser, sampler.told_sigma)


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


@contextmanager
def _evaluating(denoiser: LabelledDenoiser) -> Iterator[None]:
    """Context of one trajectory: modules are in evaluation mode, and weights are normalised once.

    Afterwards each module has its mode back. Bands begin a new trajectory.
    """
    networks = list(networks_of(denoiser))
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for module, _ in modes:
        module.training = False
    _restart_bands(denoiser)
    try:
        with weights_prepared(networks):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _restart_bands(denoiser: LabelledDenoiser) -> None:
    """Networks in displaced bands begin a new trajectory."""
    for network in networks_of(denoiser):
        for module in network.modules():
            if isinstance(module, BandedDenoiser):
                module.restart()


def checked_labels(denoiser: LabelledDenoiser, request: GenerationRequest) -> Tensor:
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
