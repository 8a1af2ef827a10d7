"""Draws images from a denoiser: image i depends on (seed, i) and its label alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from models.layers.low_rank_adapter import AdaptedDenoiser
from sampling.config import SamplerConfig
from sampling.division import Division, divided_guide, in_one_process
from sampling.drawing.fitted_levels import fitted_sampler
from sampling.drawing.networks import device_of, evaluating, restart_bands
from sampling.drawing.tally import EvaluationTally
from sampling.editing.edit import Edit
from sampling.editing.resampling import evaluations
from sampling.editing.solve_edit import solve_edit
from sampling.guidance.base import Guide, LabelledDenoiser, bind_labels
from sampling.guidance.table import guide_denoiser
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.solvers.bound import Told
from sampling.solvers.table import run_solver
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
    tally: EvaluationTally | None = None,
) -> Iterator[Tensor]:
    """The images of a request, batch by batch: float32 [b, C, H, W] on the CPU.

    They are in data units and not clipped: pixel data can lie slightly outside [-1, 1]. guide: see
    guide_denoiser. device: by default the denoiser's. progress(done, total), in images, is called
    after each batch, and within one as its evaluations go on. division: see `prepare`. tally:
    counts each image's evaluations. Raises ValueError for unusable input before the first one.
    """
    indices = [int(index) for index in request.indices]
    labels = checked_labels(denoiser, request)
    drawing = prepare(denoiser, request, guide=guide, device=device, division=division)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(indices), request.batch_size):
            chosen = slice(start, start + request.batch_size)
            generators = image_generators(request.seed, indices[chosen])
            noise = drawing.noise(generators)
            count = len(generators)
            told = [] if tally is None else [tally.batch(start, count)]
            if progress is not None:
                told.append(_shares(progress, start, count, len(indices), drawing.evaluations))
            images = drawing.solve(noise, labels[chosen], generators, told=told)
            yield images.float().cpu()
            if progress is not None:
                progress(start + len(images), len(indices))

    return batches()


def _shares(progress: Progress, start: int, count: int, total: int, evaluations: int) -> Told:
    """Tells what share of a batch's evaluations is done, as images after the first `start`."""
    asked, shown = 0, 0

    def told(rows: Tensor | None, sigma: Tensor) -> None:
        nonlocal asked, shown
        asked += len(sigma)
        done = asked // evaluations
        if shown < done < count:
            shown = done
            progress(start + done, total)

    return told


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
        """The solver's calls of the denoiser per image (NFE); see `SamplerConfig.nfe`."""
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
        told: Sequence[Told] = (),
    ) -> Tensor:
        """Images [B, C, H, W] in data units, from noise and labels int64 [B]; see `solve`.

        told: called after each evaluation of the denoiser.
        """

        def tell(rows: Tensor | None, sigma: Tensor) -> None:
            for one in told:
                one(rows, sigma)

        denoise = bind_labels(self.denoiser, labels.to(self.device), tell)
        solver = self.sampler.make_solver()
        both: dict[str, Any] = {"generators": generators, "callback": callback}
        with torch.no_grad(), evaluating(self.denoiser):
            if self.edit is None:
                return run_solver(solver, denoise, noise, self.sigmas, **both)
            return solve_edit(
                *(self.edit, solver, denoise, noise, self.sigmas),
                renoised=lambda: restart_bands(self.denoiser),
                **both,
            )

    def denoised(self, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
        """D(x; sigma, labels) [B, C, H, W], with the guidance."""
        levels = torch.full((len(x),), sigma, device=x.device)
        with torch.no_grad(), evaluating(self.denoiser):
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
    images cannot be cut into bands. Grid fitted is fitted here, but where processes share images.
    """
    sampler = request.sampler
    if request.edit is not None and sampler.counts_calls:
        raise ValueError(f"an edit runs steps of the time grid, and {sampler.levels_unknown}")
    division = division or in_one_process(sampler)
    where = torch.device(device) if device is not None else device_of(denoiser)
    if division is not None:
        denoiser, guide = division.network(denoiser), divided_guide(guide, sampler, division)
    if request.edit is not None and request.edit.image.shape != tuple(denoiser.image_shape):
        raise ValueError(
            f"image {list(request.edit.image.shape)}: the denoiser draws "
            f"{list(denoiser.image_shape)}: give an image of that shape"
        )
    guided = guide_denoiser(as_sampled(denoiser, sampler), sampler.guidance, guide)
    if division is None:
        sampler = fitted_sampler(guided, request, where)
    levels = sampler.time_grid(Path(request.cache_dir) if request.cache_dir else None)
    return Drawing(guided, sampler, levels, where, request.edit)


def as_sampled(denoiser: LabelledDenoiser, sampler: SamplerConfig) -> LabelledDenoiser:
    """The denoiser, with its adapter and told another noise level if the sampler's settings say so.

    Raises ValueError if they name an adapter and the denoiser has none.
    """
    if sampler.adapter:
        denoiser = AdaptedDenoiser(cast(torch.nn.Module, denoiser))
    return denoiser if sampler.told_sigma == 1 else ToldSigma(denoiser, sampler.told_sigma)


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
