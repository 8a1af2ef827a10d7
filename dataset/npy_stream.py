"""Append arrays to a .npy file whose length and shape are known only later."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

_MAX_LENGTH = 10**18


class NpyStream:
    """A uint8 .npy file [N, ...] that grows by `append`; memory holds one item.

    The header is written for the largest N, then again, in the same space, for the true one.
    A context manager: leaving it finishes the file and syncs it to disk.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._length = 0
        self._item_shape: tuple[int, ...] = ()
        self._data_start = 0

    def append(self, item: np.ndarray) -> bytes:
        """Write one item, of the same shape as the first, and return the bytes written."""
        if self._length == 0:
            self._item_shape = item.shape
            self._write_header(_MAX_LENGTH)
            self._data_start = self._file.tell()
        assert item.dtype == np.uint8 and item.shape == self._item_shape, (item.dtype, item.shape)
        data = item.tobytes()
        self._file.write(data)
        self._length += 1
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._write_header(self._length)
                # numpy leaves room in the header for a first axis that grows
                assert self._file.tell() == self._data_start, "the .npy header changed its size"
                self._file.flush()
                os.fsync(self._file.fileno())

    def _write_header(self, length: int) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (length, *self._item_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
