"""Writes the features of a whole data set to disk, and computes their mean and covariance."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from evaluation.frechet import feature_statistics
from foundation.array_in_parts import ArrayInParts
from foundation.atomic_files import copy_whole, replacing
from models.extractors.base import Extractor

CHUNK_BYTES, CHUNK_IMAGES = 1 << 25, 1 << 10
"""Bytes and number of images that are read at once, at most. An interruption of the stage reference
costs the work on one chunk."""
FEATURE_BATCH = 256
"""Images that the extractor takes at once in the stage reference; params do not change it."""


def image_chunks(images: np.ndarray, indices: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(start, images[indices[start:...]]) in turn, within CHUNK_BYTES and CHUNK_IMAGES."""
    for start, stop in _ranges(images, len(indices)):
        yield start, images[indices[start:stop]]


def _ranges(images: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each chunk of `count` images."""
    size = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // images[0].nbytes))
    for start in range(0, count, size):
        yield start, min(start + size, count)


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
    unfinished: Path | None = None,
) -> RunningStatistics:
    """Write the features of images[indices] to a float32 .npy [N, F], chunk by chunk.

    The file gets its name only when it is whole. Returns the features' statistics.

    Args:
        images: uint8 [*, H, W, C], a memory map.
        indices: int64 [N], at least one.
        progress: called with (images done, N); the first call tells where the work begins.
        unfinished: a file in which the features gather, for the next call with the same arguments
            to go on with if this one does not come to its end. The result is the same to the bit.
            The caller removes it. None: nothing is kept.
    """
    if unfinished is None:
        with replacing(path) as temporary:
            array = ArrayInParts(temporary, (len(indices), extractor.num_features))
            try:
                return _fill(array, extractor, images, indices, progress)
            finally:
                array.forget()
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    array = ArrayInParts(unfinished, (len(indices), extractor.num_features))
    statistics = _fill(array, extractor, images, indices, progress)
    path.unlink(missing_ok=True)
    try:
        os.link(unfinished, path)  # `path` may go when the stage begins again, this one stays
    except OSError:  # another file system, or one without links
        copy_whole(unfinished, path)
    return statistics


def _fill(
    array: ArrayInParts,
    extractor: Extractor,
    images: np.ndarray,
    indices: np.ndarray,
    progress: Callable[[int, int], None] | None,
) -> RunningStatistics:
    """Compute the parts that the array lacks; returns the statistics of all."""
    statistics = RunningStatistics(extractor.num_features)
    for start, stop in _ranges(images, len(indices)):

        def report(done: int, _: int, start: int = start) -> None:
            if progress is not None:
                progress(start + done, len(indices))

        features = array.read(start, stop)
        if features is None:
            report(0, 0)
            features = extractor.features(images[indices[start:stop]], FEATURE_BATCH, report)
            array.write(start, features)
        statistics.update(features)
    report(len(indices) - start, 0)
    return statistics
