"""Pairs of noise and image that the teacher draws once, and students learn from many times."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataset.store import ImageDataset
from foundation.array_in_parts import ArrayInParts
from foundation.json_hash import json_hash
from foundation.workers import World
from models.denoiser import Denoiser
from models.weights import tensors_hash
from sampling.config import SamplerConfig
from sampling.generate import Progress, generate
from sampling.labels import generation_labels
from sampling.seeds import image_generators, image_noise

Drawn = Callable[[int, int], None]

CHUNK = 512
"""Pairs in a file; a start that is killed loses one file of each worker at most."""


def nobody(done: int, total: int) -> None:
    """Told how many pairs are drawn, does nothing."""


class TeacherPairs:
    """`count` images that the teacher's sampler makes of known noise, and their labels.

    Pair i depends on (seed, i), the teacher and the sampler alone. The images are kept in `folder`
    under a hash of these, and read back by later starts; what is missing or damaged there is drawn.
    """

    def __init__(
        self,
        teacher: Denoiser,
        sampler: SamplerConfig,
        seed: int,
        count: int,
        dataset: ImageDataset,
        folder: Path | None = None,
    ):
        """folder: where pairs are kept; None: nowhere."""
        self.teacher, self.sampler, self.seed, self.count = teacher, sampler, seed, count
        conditional = teacher.num_classes > 0
        labels = generation_labels(dataset, seed, count, conditional=conditional)
        self.labels = torch.from_numpy(labels)
        self.folder = None if folder is None else Path(folder) / self._key()
        self.images = torch.empty(0, *teacher.image_shape)

    def _key(self) -> str:
        facts = {
            "teacher": tensors_hash(self.teacher.state_dict()),
            "sampler": self.sampler.model_dump(mode="json"),
            "seed": self.seed,
            "labels": json_hash(self.labels.tolist()),
        }
        return json_hash(facts)[:16]

    def make(self, world: World, tell: Drawn = nobody) -> None:
        """Draw what is not there; every worker draws every size-th file. Call it on all ranks.

        It is done outside any autocast. tell(done, total) is called as the teacher's evaluations go
        on, in pairs of all workers, if each has as many left as this one.
        """
        chunks = list(self._chunks())
        own = chunks[world.rank :: world.size]
        drawn = {c.start: kept for c in own if (kept := self._kept(c)) is not None}
        todo = [c for c in own if c.start not in drawn]
        left, done = sum(map(len, todo)), 0
        total = min(self.count, world.size * left)

        def told(before: int, now: int, _: int | None) -> None:
            tell(total * (before + now) // left, total)

        with torch.autocast(world.device.type, enabled=False):
            for chunk in todo:
                drawn[chunk.start] = self._draw(chunk, partial(told, done))
                done += len(chunk)
        world.barrier()
        parts = [drawn[c.start] if c.start in drawn else self._chunk(c) for c in chunks]
        flat = torch.from_numpy(np.concatenate(parts))
        self.images = flat.view(self.count, *self.teacher.image_shape)

    def _chunks(self) -> Iterator[range]:
        for start in range(0, self.count, CHUNK):
            yield range(start, min(start + CHUNK, self.count))

    def _chunk(self, chunk: range) -> np.ndarray:
        """The images [n, C*H*W] of these pairs: read, or drawn and kept."""
        kept = self._kept(chunk)
        return self._draw(chunk) if kept is None else kept

    def _file(self, chunk: range) -> ArrayInParts | None:
        """The file of these pairs; None if pairs are kept nowhere."""
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        size = int(np.prod(self.teacher.image_shape))
        return ArrayInParts(self.folder / f"{chunk.start:08d}.npy", (len(chunk), size))

    def _kept(self, chunk: range) -> np.ndarray | None:
        """The images [n, C*H*W] of these pairs in their file; None if they must be drawn."""
        file = self._file(chunk)
        kept = None if file is None else file.read(0, len(chunk))
        return None if kept is None else kept.copy()

    def _draw(self, chunk: range, progress: Progress | None = None) -> np.ndarray:
        """The images [n, C*H*W] of these pairs, drawn and kept. progress: see `generate`."""
        labels = self.labels[chunk.start : chunk.stop]
        images = generate(
            self.teacher,
            self.sampler,
            self.seed,
            chunk,
            labels,
            batch_size=len(chunk),
            progress=progress,
        )
        flat = images.flatten(1).numpy()
        file = self._file(chunk)
        if file is not None:
            file.write(0, flat)
        return flat

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """(unit noise [B, C, H, W], images [B, C, H, W], labels int64 [B]) of these pairs."""
        noise = image_noise(image_generators(self.seed, rows.tolist()), self.teacher.image_shape)
        chosen = torch.from_numpy(rows)
        return noise, self.images[chosen], self.labels[chosen]
