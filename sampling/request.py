"""A request for generated images: plain data that can be sent to another process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sampling.config import SamplerConfig
from sampling.editing.edit import Edit


@dataclass(frozen=True, kw_only=True, eq=False)
class GenerationRequest:
    """Which images to draw: the sampler, the seeds of their noise, their labels, the weights files.

    Image i depends on (seed, i) and its label alone. Raises ValueError for a batch size below 1 or
    labels that do not fit the indices.
    """

    sampler: SamplerConfig
    seed: int
    """Seed of the whole set of images."""
    indices: Sequence[int]
    """Numbers of the wanted images in that set."""
    labels: np.ndarray
    """int64, one per index, -1: unconditional."""
    batch_size: int = 256
    """Images drawn at once; the images do not depend on it, except for rounding."""
    weights: str | None = None
    """The denoiser's .safetensors file; None if the denoiser is passed beside the request."""
    classifier: str | None = None
    """Weights file of the classifier, for guidance that needs one."""
    prompts: Sequence[str] = ()
    """Captions that the labels number, in place of those of training; (): none."""
    edit: Edit | None = None
    """The image that is edited in place of drawing from noise alone; None: none."""
    cache_dir: str | None = None
    """Folder in which optimized time grids are kept."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: at least one image a batch")
        if self.labels.shape != (len(self.indices),):
            raise ValueError(
                f"labels have shape {tuple(self.labels.shape)} for {len(self.indices)} images"
            )
        for entry in self.sampler.guidance:
            self._whole_groups(entry.kind, entry.group_size)

    def from_noise(self, what: str) -> "GenerationRequest":
        """Itself. Raises ValueError where it edits an image, which `what` does not show."""
        if self.edit is not None:
            raise ValueError(f"{what} shows how images come from noise: leave the edit out")
        return self

    def split(self, size: int) -> list["GenerationRequest"]:
        """The request cut into requests of at most `size` images each, in order.

        Raises ValueError if a batch would be cut and the guidance needs whole batches.
        """
        for entry in self.sampler.guidance:
            if size % entry.group_size and size < len(self.indices):
                raise ValueError(_cut(entry.kind, entry.group_size, f"parts of {size} images"))
        whole = [entry.kind for entry in self.sampler.guidance if entry.needs.whole_batches]
        if whole and size % self.batch_size and size < len(self.indices):
            raise ValueError(
                f"guidance {whole[0]} needs whole batches, and parts of {size} images would cut "
                f"batches of {self.batch_size}: make the parts a multiple of {self.batch_size}"
            )
        return [
            replace(
                self,
                indices=self.indices[start : start + size],
                labels=self.labels[start : start + size],
            )
            for start in range(0, len(self.indices), size)
        ]

    def _whole_groups(self, kind: str, group: int) -> None:
        """Raise ValueError where the images are not whole groups, or a batch would cut one."""
        if group == 1 or not len(self.indices):
            return
        first = self.indices[0]
        if first % group or list(self.indices) != list(range(first, first + len(self.indices))):
            raise ValueError(_cut(kind, group, "images whose numbers do not begin at a multiple"))
        if len(self.indices) % group:
            raise ValueError(_cut(kind, group, f"{len(self.indices)} images"))
        if self.batch_size % group and self.batch_size < len(self.indices):
            raise ValueError(_cut(kind, group, f"batches of {self.batch_size} images"))


def _cut(kind: str, group: int, what: str) -> str:
    return f"guidance {kind}: {what} would cut its groups of {group}: use multiples of {group}"
