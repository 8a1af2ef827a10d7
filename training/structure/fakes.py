"""Draws the real images of a play, and makes its fakes."""

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dataset.distinct import first_of_each
from dataset.slots import (
    GroupPools,
    slot_generator,
    slot_indices,
    slot_normal,
    slot_uniform,
    unpaired_batch,
)
from dataset.store import ImageDataset
from models.codecs import Codec
from sampling.config import SamplerConfig
from sampling.solvers.table import solve
from training.encoded_images import encoded_images
from training.structure.config import FakesConfig
from training.structure.fake_levels import DEFAULT_SAMPLER, fake_levels


@dataclass(frozen=True)
class GameBatch:
    """What is drawn for one worker's share of a play: n slots, images in data units."""

    slots: Sequence[int]
    reals: Tensor  # [n, C, H, W]; paired forms: the sources of the fakes
    labels: Tensor  # int64 [n], given to the denoiser
    groups: Tensor  # int64 [n], group labels of real and fake
    shown: Tensor  # int64 [n], which training image each real is
    noise: Tensor  # unit normal [n, C, H, W], of the fakes
    sigma: Tensor  # [n], where the fake is denoised with gradient; deployed: the first noise level
    sources: Tensor | None  # [n, C, H, W], clean images the fakes start from; None: pure noise
    stop: Tensor | None  # int64 [n], index of sigma in the sampler's grid; None: not onpolicy
    renoise: tuple[Tensor, Tensor] | None  # unit normal for real and fake before Psi


class Fakes:
    """Draws batches for the game, and the noisy images from which fakes are denoised.

    onestep: a real image with noise of sigma <= sigma_data, denoised once. (One denoising estimates
    a posterior mean, which is blurred at a higher sigma.)
    onpolicy: a state of the sampler's path, denoised once with gradient. With gradient_steps n > 1
    the n - 1 sampler steps just before that state carry gradient too; earlier steps do not.
    deployed: the sampler's final images, with gradient through its last `gradient_steps`
    evaluations.
    renoise: as onestep, with sigma up to renoise_sigma; before Psi sees them, reals and fakes get
    new noise of renoise_sigma.
    Raises ValueError for settings that do not fit each other or the sampler's noise levels.
    """

    def __init__(
        self,
        config: FakesConfig,
        sampler: SamplerConfig | None,
        *,
        sigma_data: float,
        conditional: bool,
        paired: bool,
        seed: int,
        codec: Codec,
        grid_cache: Path | None = None,
    ):
        self.codec = codec
        self.kind, self.paired, self.gradient_steps = config.fakes, paired, config.gradient_steps
        self.reaches_back = self.kind == "onpolicy" and (config.gradient_steps or 1) > 1
        """Whether steps of the path before the denoised state carry gradient too."""
        self.conditional, self.seed = conditional, seed
        self._sorted: tuple[ImageDataset, np.ndarray, np.ndarray, GroupPools] | None = None
        self._left_out: np.ndarray | None = None
        self.low, self.high = fake_levels(config, sampler, sigma_data)
        self.sampler = sampler or DEFAULT_SAMPLER
        self.grid: Tensor | None = None
        if self.kind in ("onpolicy", "deployed"):
            self.grid = self.sampler.time_grid(grid_cache)
        if self.kind == "onpolicy":
            assert self.grid is not None
            inner = self.grid[1:-1]
            inside = ((inner >= self.low) & (inner <= self.high)).nonzero()[:, 0] + 1
            if not len(inside):
                raise ValueError(
                    f"none of the sampler's {len(inner)} inner noise levels lies between "
                    f"structure.sigma_min {self.low:g} and sigma_max {self.high:g}: widen these or "
                    "give the sampler more steps"
                )
            self.stops = inside.numpy()

    def draw(
        self,
        dataset: ImageDataset,
        slots: Sequence[int],
        *,
        play: range | None = None,
        flip: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> GameBatch:
        """The batch of the given image slots.

        play: all slots of the play; None: those given. Each row depends on (seed, slot) alone,
        except for unpaired reals: no real image, and no copy of one, occurs twice in a play, so
        they depend on the whole play. flip: mirror half of the images, as training does.
        """
        seed, train = self.seed, dataset.train_indices
        train_labels, train_groups, pools = self._labels(dataset)
        chosen = self._rows(slots, len(train))
        labels = train_labels[chosen]
        sources = None
        if self.grid is None:
            sources = self._images(dataset, train[chosen], slots, flip, "source")
        if self.paired:
            assert sources is not None
            reals, drawn = sources, chosen
        else:
            whole = range(min(slots), max(slots) + 1) if play is None else play
            wanted = train_groups[self._rows(whole, len(train))]
            drawn = unpaired_batch(seed, pools, wanted, whole.start)
            drawn = drawn[np.asarray(slots) - whole.start]
            reals = self._images(dataset, train[drawn], slots, flip, "real")
        uniform = slot_uniform(seed, "structure/sigma", slots)
        stop = None
        if self.kind == "deployed":
            assert self.grid is not None
            sigma = np.full(len(slots), float(self.grid[0]))
        elif self.grid is None:
            sigma = np.exp(np.log(self.low) + uniform * np.log(self.high / self.low))
        else:
            stop = self.stops[(uniform * len(self.stops)).astype(np.int64)]
            sigma = self.grid.numpy()[stop]

        def put(array: np.ndarray | Tensor) -> Tensor:
            tensor = torch.as_tensor(array)
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        shape = self.codec.data_shape(dataset.image_shape)

        def normal(stream: str) -> Tensor:
            return put(slot_normal(seed, f"structure/{stream}", slots, shape))

        again = (normal("renoise real"), normal("renoise fake")) if self.kind == "renoise" else None
        return GameBatch(
            slots=slots,
            reals=put(reals),
            labels=put(labels),
            groups=put(train_groups[chosen]),
            shown=put(drawn),
            noise=normal("noise"),
            sigma=put(sigma),
            sources=None if sources is None else put(sources),
            stop=None if stop is None else put(stop),
            renoise=again,
        )

    def images(self, denoiser: nn.Module, batch: GameBatch, noisy: Tensor, part: slice) -> Tensor:
        """The fakes [n, C, H, W] of rows `part`. noisy: of the whole batch, by `noisy`."""
        labels = batch.labels[part]
        if self.kind != "deployed":
            states = self._stretch(denoiser, batch, part) if self.reaches_back else noisy[part]
            return denoiser(states, batch.sigma[part], labels)
        assert self.grid is not None
        wanted = torch.is_grad_enabled()
        without = 0 if self.gradient_steps is None else self.sampler.nfe - self.gradient_steps
        evaluations = itertools.count()

        options: dict[str, Any] = dict(self.sampler.solver_options)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            with torch.set_grad_enabled(wanted and next(evaluations) >= without):
                return denoiser(x, sigma, labels)

        images = solve(
            self.sampler.solver,
            denoise,
            noisy[part],
            self.grid,
            generators=self._generators(batch, part),
            **options,
        )
        # Pictures clip at black and white, so the game must not judge values beyond these.
        return self.codec.clip(images)

    @torch.no_grad()
    def noisy(self, denoiser: nn.Module, batch: GameBatch, part: slice) -> Tensor:
        """The images [n, C, H, W] of rows `part` from which fakes are made with gradient.

        These are images at noise level batch.sigma or, if steps of the sampler's path carry
        gradient, the unit noise from which the path starts. Rows do not depend on one another.
        """
        noise = batch.noise[part]
        if batch.sources is not None:
            return batch.sources[part] + batch.sigma[part, None, None, None] * noise
        if self.kind == "deployed" or self.reaches_back:
            return noise
        return self._stretch(denoiser, batch, part)

    def _stretch(self, denoiser: nn.Module, batch: GameBatch, part: slice) -> Tensor:
        """Run the sampler from unit noise; returns each row's state at its own stop [n, C, H, W].

        If gradients are enabled, the last gradient_steps - 1 steps before a row's stop carry
        gradient.
        """
        assert batch.stop is not None and self.grid is not None
        stop, labels = batch.stop[part], batch.labels[part]
        last, states, taken = int(stop.max()), torch.empty_like(batch.noise[part]), 0
        first = stop - ((self.gradient_steps or 1) - 1)  # [n], the first step with gradient
        wanted = torch.is_grad_enabled()

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            if not wanted:
                return denoiser(x, sigma, labels)
            carries = (first <= taken) & (taken < stop)  # [n]
            with torch.set_grad_enabled(bool(carries.any())):
                denoised = denoiser(x, sigma, labels)
            return torch.where(carries[:, None, None, None], denoised, denoised.detach())

        def keep(step: int, x: Tensor, denoised: Tensor) -> None:
            nonlocal states, taken
            taken = step + 1
            states = torch.where((stop == taken)[:, None, None, None], x, states)
            if taken == last:
                raise _Arrived

        with suppress(_Arrived):
            solve(
                self.sampler.solver,
                denoise,
                batch.noise[part],
                self.grid,
                generators=self._generators(batch, part),
                callback=keep,
                **self.sampler.solver_options,
            )
        return states

    def _generators(self, batch: GameBatch, part: slice) -> list[torch.Generator]:
        """A generator per row for a sampler that adds noise; the same noise at every pass."""
        return [slot_generator(self.seed, "structure/path", slot) for slot in batch.slots[part]]

    def groups(self, dataset: ImageDataset) -> np.ndarray:
        """Group of each train image, int64 [train images]; -1 for an unconditional denoiser."""
        return self._labels(dataset)[1]

    def leave_out(self, images: np.ndarray | None) -> None:
        """From now on plays use none of these images, bool [train images]; None: they use any."""
        self._left_out, self._sorted = images, None

    def _rows(self, slots: Sequence[int], count: int) -> np.ndarray:
        """Positions in the train split of these slots' own images, int64 [n]."""
        allowed = np.arange(count) if self._left_out is None else np.flatnonzero(~self._left_out)
        return allowed[slot_indices(self.seed, len(allowed), slots)]

    def _labels(self, dataset: ImageDataset) -> tuple[np.ndarray, np.ndarray, GroupPools]:
        """(labels, groups, images of each group) of the train split, computed once per data set."""
        if self._sorted is None or self._sorted[0] is not dataset:
            labels = dataset.labels[dataset.train_indices]
            groups = dataset.group_labels[dataset.train_indices]
            if not self.conditional:
                # The groups of an unconditional denoiser's fakes are unknown.
                labels, groups = np.full_like(labels, -1), np.full_like(groups, -1)
            once = None
            keys = None if self.paired else dataset.train_keys
            if keys is not None:
                # Copies would tell the real set from the fakes, as an image drawn twice would.
                once = first_of_each(keys, groups)
            if self._left_out is not None:
                once = np.arange(len(groups)) if once is None else once
                once = once[~self._left_out[once]]
            self._sorted = (dataset, labels, groups, GroupPools(groups, once))
        return self._sorted[1:]

    def _images(
        self,
        dataset: ImageDataset,
        indices: np.ndarray,
        slots: Sequence[int],
        flip: bool,
        stream: str,
    ) -> Tensor:
        stored, _ = dataset.stored(indices)
        mirrored = None
        if flip:
            uniform = slot_uniform(self.seed, f"structure/flip {stream}", slots)
            mirrored = torch.from_numpy(uniform < 0.5)
        name = f"structure/latent {stream}"
        return encoded_images(self.codec, stored, mirrored, self.seed, name, slots)


class _Arrived(Exception):
    """Ends the sampler's run after the last state that is needed."""
