"""Writes the features of a whole data set to disk, and computes their mean and covariance."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from evaluation.frechet import feature_statistics
from foundation.atomic_files import replacing
from models.extractors.base import Extractor

CHUNK_BYTES = 1 << 25
"""Bytes of images that are read at once, though at most 4096 images."""
FEATURE_BATCH = 256
"""Images that the extractor takes at once in the stage reference; params do not change it."""


def image_chunks(images: np.ndarray, indices: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(start, images[indices[start:...]]) in turn, in chunks of at most CHUNK_BYTES."""
    size = max(1, min(4096, CHUNK_BYTES // images[0].nbytes))
    for start in range(0, len(indices), size):
        yield start, images[indices[start : start + size]]


class RunningStatistics:
    """Mean and covariance of features that arrive in chunks, in float64 (Chan et al. 1982)."""

    def __init__(self, num_features: int) -> None:
        self.count = 0
        self.mean = np.zeros(num_features)
        self._scatter = np.zeros((num_features, num_features))

    def update(self, features: np.ndarray) -> None:
        """Add features [N, F]."""
        mean, cov = feature_statistics(features)
        total = self.count + len(features)
        step = mean - self.mean
        self._scatter += cov * max(len(features) - 1, 0)
        self._scatter += np.outer(step, step) * (self.count * len(features) / total)
        self.mean += step * (len(features) / total)
        self.count = total

    @property
    def cov(self) -> np.ndarray:
        """Unbiased covariance [F, F] (zeros after a single image)."""
        return self._scatter / max(self.count - 1, 1)


def write_features(
    extractor: Extractor,
    images: np.ndarray,
    indices: np.ndarray,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> RunningStatistics:
    """Write the features of images[indices] to a float32 .npy [N, F], chunk by chunk.

    The file gets its name only when it is whole. Returns the features' statistics.

    Args:
        images: uint8 [*, H, W, C], a memory map.
        indices: int64 [N], at least one.
    """
    statistics = RunningStatistics(extractor.num_features)
    with replacing(path) as temporary:
        stored = np.lib.format.open_memmap(
            temporary, mode="w+", dtype=np.float32, shape=(len(indices), extractor.num_features)
        )
        for start, chunk in image_chunks(images, indices):

            def report(done: int, _: int, start: int = start) -> None:
                if progress is not None:
                    progress(start + done, len(indices))

            features = extractor.features(chunk, FEATURE_BATCH, report)
            stored[start : start + len(features)] = features
            statistics.update(features)
        stored.flush()
        del stored
    return statistics
