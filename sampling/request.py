"""Which images to generate, as plain data that can travel to another process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sampling.config import SamplerConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class GenerationRequest:
    """Images of a denoiser: by which sampler, with which noise and labels, from which files.

    Image i depends on (seed, i) and its label alone. Raises ValueError for what cannot be meant.
    """

    sampler: SamplerConfig
    seed: int
    """Of the whole set of images."""
    indices: Sequence[int]
    """Numbers of the images in that set."""
    labels: np.ndarray
    """int64, one per index, -1: unconditional."""
    batch_size: int = 256
    """Images at once; decides no image, to rounding."""
    weights: str | None = None
    """The denoiser's .safetensors file; None where it is in hand only."""
    classifier: str | None = None
    """Weights of the classifier that guidance may need."""
    cache_dir: str | None = None
    """Folder that keeps optimized time grids."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: at least one image a batch")
        if self.labels.shape != (len(self.indices),):
            raise ValueError(
                f"labels have shape {tuple(self.labels.shape)} for {len(self.indices)} images"
            )

    def split(self, size: int) -> list["GenerationRequest"]:
        """The same images as requests of at most `size` each, in order.

        Raises ValueError where that would cut a batch that the guidance needs whole.
        """
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
