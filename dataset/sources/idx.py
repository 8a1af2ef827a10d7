"""The IDX format of MNIST and its kin: big-endian header, then bytes; plain or gzipped.

Source: the description at the end of http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from dataset.errors import DatasetError
from dataset.sources.regular_file import open_regular

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> tuple[tuple[int, ...], Iterator[bytes]]:
    """Shape of an IDX file of bytes, and its entries along the first axis, read one by one.

    Raises DatasetError for any other content, at once or where a truncated file ends.
    """
    with _open(path) as file:
        shape = _read_shape(file)
    return shape, _entries(path, shape)


def _entries(path: Path, shape: tuple[int, ...]) -> Iterator[bytes]:
    size = math.prod(shape[1:])
    with _open(path) as file:
        _read_shape(file)
        for _ in range(shape[0]):
            entry = file.read(size)
            if len(entry) != size:
                raise EOFError("it is truncated")
            yield entry
        if file.read(1):  # also makes gzip check its sum
            raise ValueError("it is longer than its header says")


def _read_shape(file: BinaryIO) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) != 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or magic[3] == 0:
        raise ValueError("it is not an IDX file of bytes")
    header = file.read(4 * magic[3])
    if len(header) != 4 * magic[3]:
        raise EOFError("it is truncated")
    return struct.unpack(f">{magic[3]}I", header)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """The file's content, gunzipped by its suffix; damage becomes a DatasetError."""
    try:
        with open_regular(path) as raw:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
    except DatasetError:
        raise
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DatasetError(f"{path} is damaged ({error}): delete it and fetch it again") from None
