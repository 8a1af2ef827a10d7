"""Records -> square pixel arrays, decoded a few ahead in threads, in their order."""

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dataset.config import DatasetConfig
from dataset.errors import DamagedImage
from dataset.flatten import flatten
from dataset.resize import centre_crop, resize_square
from dataset.sources.record import Record

# Pillow decodes and resizes without Python's lock. Each thread may hold a large photograph.
_THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)


def read_ahead(
    records: Iterable[Record], config: DatasetConfig
) -> Generator[tuple[Record, np.ndarray | str]]:
    """Each record with its pixels, uint8 [H, W, C], or with the reason why there are none.

    At most 3 images per thread are in memory. Close the generator before the source.
    """
    pending: deque[tuple[Record, Future[np.ndarray | str]]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="decode") as pool:
        try:
            for record in records:
                pending.append((record, pool.submit(square_pixels, record, config)))
                if len(pending) > 2 * _THREADS:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def square_pixels(record: Record, config: DatasetConfig) -> np.ndarray | str:
    """Load one record and bring it to the configured size and channels, or say why not."""
    try:
        image = flatten(centre_crop(record.load()), config.background)
    except DamagedImage as error:
        return str(error)
    if config.channels != "auto":
        image = image.convert("L" if config.channels == 1 else "RGB")
    return resize_square(image, config.resolution, config.resize)
