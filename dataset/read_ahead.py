"""Records -> square pixel arrays, decoded a few ahead in threads, in their order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from dataset.config import DatasetConfig
from dataset.decoding_memory import picture
from dataset.errors import DamagedImage
from dataset.flatten import flatten
from dataset.resize import centre_crop, resize_square
from dataset.sources.record import Record

T = TypeVar("T")

# Pillow decodes and resizes without Python's lock. Each thread may hold a large photograph.
_THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)


class Square(NamedTuple):
    """One image as it is stored."""

    pixels: np.ndarray
    """uint8 [H, W, C]."""
    grey_or_colour: bool = False
    """True for greys from a palette, among which there could be colours: such an image goes with
    its neighbours, grey among grey ones and colour among colour ones."""


def read_ahead(
    records: Iterable[Record], config: DatasetConfig
) -> Generator[tuple[Record, Square | str]]:
    """Each record with its pixels, or with the reason why there are none; see `loaded_ahead`."""
    return loaded_ahead(records, lambda record: square_pixels(record, config))


def loaded_ahead(
    records: Iterable[Record], load: Callable[[Record], T]
) -> Generator[tuple[Record, T]]:
    """Each record with what `load` makes of it in a thread, in the records' order.

    At most 3 images per thread are in memory. Close the generator before the source.
    """
    pending: deque[tuple[Record, Future[T]]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="decode") as pool:
        try:
            for record in records:
                pending.append((record, pool.submit(load, record)))
                if len(pending) > 2 * _THREADS:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def square_pixels(record: Record, config: DatasetConfig) -> Square | str:
    """Load one record and bring it to the configured size and channels, or say why not."""
    try:
        with picture():
            image = centre_crop(record.load())
            from_palette = image.mode in ("P", "PA")
            image = flatten(image, config.background)
            if config.channels == 1 and image.mode != "L":
                image = image.convert("L")
            pixels = resize_square(image, config.resolution, config.resize)
            undecided = from_palette and image.mode == "L" and config.channels == "auto"
            del image  # its memory is given back
    except DamagedImage as error:
        return str(error)
    return Square(coloured(pixels) if config.channels == 3 else pixels, undecided)


def coloured(pixels: np.ndarray) -> np.ndarray:
    """[H, W, 1 or 3] -> [H, W, 3]."""
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
