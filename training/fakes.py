"""What the game is played with: which real images, which fakes, at which noise."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dataset.sampler import (
    LabelPools,
    slot_generator,
    slot_indices,
    slot_normal,
    slot_uniform,
    unpaired_indices,
)
from dataset.store import ImageDataset
from discriminators.config import StructureConfig
from sampling.config import SamplerConfig
from sampling.solvers import solve

DEFAULT_SAMPLER = SamplerConfig(solver="ddim", steps=8)


@dataclass(frozen=True)
class GameBatch:
    """One worker's share of a play, drawn slot by slot. Images in data units."""

    slots: Sequence[int]  # of the fakes; the reals' may be later ones
    reals: Tensor  # [n, C, H, W]; paired forms: the sources of the fakes
    labels: Tensor  # int64 [n], of real and fake
    noise: Tensor  # unit normal [n, C, H, W], of the fakes
    sigma: Tensor  # [n], where the fake is denoised with gradient
    sources: Tensor | None  # [n, C, H, W], clean images the fakes start from; None: onpolicy
    stop: Tensor | None  # int64 [n], which of the path's kept states; None: not onpolicy
    renoise: tuple[Tensor, Tensor] | None  # unit normal for real and fake before Psi


class Fakes:
    """Draws batches for the game, and the noisy images from which fakes are denoised.

    onestep: a real image under noise sigma <= sigma_data. One step estimates a posterior mean,
    which at higher sigma is blurred by nature.
    onpolicy: a state on the sampler's own path (without its guidance), reached without gradient.
    renoise: as onestep, up to the sigma at which real and fake are re-noised before Psi.
    Raises ValueError if the noise levels asked for do not exist.
    """

    def __init__(
        self,
        config: StructureConfig,
        sampler: SamplerConfig | None,
        *,
        sigma_data: float,
        conditional: bool,
        paired: bool,
        seed: int,
        grid_cache: Path | None = None,
    ):
        self.kind, self.paired, self.path_plays = config.fakes, paired, config.path_plays
        self.conditional, self.seed = conditional, seed
        self._sorted: tuple[ImageDataset, np.ndarray, LabelPools] | None = None
        limit = {
            "onestep": sigma_data,
            "onpolicy": 2 * sigma_data,
            "renoise": config.renoise_sigma,
        }[self.kind]
        self.low, self.high = config.sigma_min, config.sigma_max or limit
        if self.kind == "onestep":
            self.high = min(self.high, sigma_data)
        if self.low > self.high:
            raise ValueError(
                f"structure.sigma_min {self.low:g} is above {self.high:g}, the highest noise level "
                f"of {self.kind} fakes: lower it"
            )
        self.sampler = sampler or DEFAULT_SAMPLER
        self.grid: Tensor | None = None
        if self.kind == "onpolicy":
            self.grid = self.sampler.time_grid(grid_cache)
            inner = self.grid[1:-1]
            inside = ((inner >= self.low) & (inner <= self.high)).nonzero()[:, 0] + 1
            if not len(inside):
                raise ValueError(
                    f"none of the sampler's {len(inner)} inner noise levels lies between "
                    f"structure.sigma_min {self.low:g} and sigma_max {self.high:g}: widen these or "
                    "give the sampler more steps"
                )
            self.stops = inside.tolist()

    @property
    def plays_per_path(self) -> int:
        """Plays that one run of the sampler serves, each at other states of its path."""
        return 1 if self.grid is None else min(self.path_plays, len(self.stops))

    def draw(
        self,
        dataset: ImageDataset,
        slots: Sequence[int],
        *,
        flip: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        real_slots: Sequence[int] | None = None,
        turn: int = 0,
    ) -> GameBatch:
        """The batch of the given image slots; each row depends on (seed, slot) alone.

        `flip` mirrors half of the images, as training does. A later `turn` (onpolicy) takes other
        states of the same paths, with reals of `real_slots`.
        """
        real_slots = slots if real_slots is None else real_slots
        seed, train = self.seed, dataset.train_indices
        train_labels, pools = self._labels(dataset)
        chosen = slot_indices(seed, len(train), slots)
        labels = train_labels[chosen]
        sources = None
        if self.kind != "onpolicy":
            sources = self._images(dataset, train[chosen], slots, flip, "source")
        if self.paired:
            assert sources is not None
            reals = sources
        else:
            drawn = unpaired_indices(seed, pools, labels, real_slots)
            reals = self._images(dataset, train[drawn], real_slots, flip, "real")
        uniform = slot_uniform(seed, "structure/sigma", slots)
        stop = None
        if self.grid is None:
            sigma = np.exp(np.log(self.low) + uniform * np.log(self.high / self.low))
        else:
            stop = ((uniform * len(self.stops)).astype(np.int64) + turn) % len(self.stops)
            sigma = self.grid.numpy()[np.array(self.stops)[stop]]

        def put(array: np.ndarray | Tensor) -> Tensor:
            tensor = torch.as_tensor(array)
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        def normal(stream: str) -> Tensor:
            return put(slot_normal(seed, f"structure/{stream}", slots, dataset.image_shape))

        again = (normal("renoise real"), normal("renoise fake")) if self.kind == "renoise" else None
        return GameBatch(
            slots=slots,
            reals=put(reals),
            labels=put(labels),
            noise=normal("noise"),
            sigma=put(sigma),
            sources=None if sources is None else put(sources),
            stop=None if stop is None else put(stop),
            renoise=again,
        )

    @torch.no_grad()
    def noisy(self, denoiser: nn.Module, batch: GameBatch, part: slice) -> Tensor:
        """The images [n, C, H, W] that rows `part` of the batch are denoised from, at their sigma.

        Rows of a batch do not influence one another.
        """
        if batch.sources is None:
            return self.at_stop(self.path(denoiser, batch, part), batch, part)
        return batch.sources[part] + batch.sigma[part, None, None, None] * batch.noise[part]

    def at_stop(self, path: Tensor, batch: GameBatch, part: slice) -> Tensor:
        """Each row's state [n, C, H, W] of the path [n, S, C, H, W] at its own stop."""
        assert batch.stop is not None
        stop = batch.stop[part]
        return path[torch.arange(len(stop), device=stop.device), stop]

    @torch.no_grad()
    def path(self, denoiser: nn.Module, batch: GameBatch, part: slice) -> Tensor:
        """The sampler's states [n, S, C, H, W] of rows `part`, at every noise level in range."""
        assert self.grid is not None
        noise, labels = batch.noise[part], batch.labels[part]
        states: list[Tensor] = []

        def keep(step: int, x: Tensor, denoised: Tensor) -> None:
            if step + 1 in self.stops:
                states.append(x)
            if step + 1 == self.stops[-1]:
                raise _Arrived

        slots = batch.slots[part]
        with suppress(_Arrived):
            solve(
                self.sampler.solver,
                lambda x, sigma: denoiser(x, sigma, labels),
                noise,
                self.grid,
                generators=[slot_generator(self.seed, "structure/path", s) for s in slots],
                callback=keep,
                **self.sampler.solver_options,
            )
        return torch.stack(states, 1)

    def _labels(self, dataset: ImageDataset) -> tuple[np.ndarray, LabelPools]:
        """Labels of the train set, and the images of each; sorted once for each data set."""
        if self._sorted is None or self._sorted[0] is not dataset:
            labels = dataset.labels[dataset.train_indices]
            if not self.conditional:
                # Fakes of an unconditional denoiser have no label for their neighbours to share.
                labels = np.full_like(labels, -1)
            self._sorted = (dataset, labels, LabelPools(labels))
        return self._sorted[1:]

    def _images(
        self,
        dataset: ImageDataset,
        indices: np.ndarray,
        slots: Sequence[int],
        flip: bool,
        stream: str,
    ) -> Tensor:
        images, _ = dataset.batch(indices)
        if flip:
            mirrored = torch.from_numpy(slot_uniform(self.seed, f"structure/flip {stream}", slots))
            images = torch.where((mirrored < 0.5)[:, None, None, None], images.flip(3), images)
        return images


class _Arrived(Exception):
    """The sampler's path has passed the last state that is wanted."""
