"""A .npy file that is filled part by part, and of which a killed process loses one part at most."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from foundation.atomic_files import naming
from foundation.json_files import parse_object


class ArrayInParts:
    """A float32 .npy file [N, F] that is written in parts, which may be read back.

    A list beside the file has the checksum of each part that was written; what does not agree with
    its checksum counts as not written. Neither the array nor the file is ever in memory as a whole.
    The file's bytes depend on the values alone, not on the parts or on interruptions.

    Args:
        path: of the .npy file. One that is there already is gone on with if it has this shape.
        shape: (N, F).
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path, self.shape = Path(path), shape
        self._list = self.path.with_name(f"{self.path.name}.parts")
        self._sums = self._listed() if self._fits() else None
        if self._sums is None:
            self._list.unlink(missing_ok=True)
            self._sums = {}
            with naming(self.path), open(self.path, "wb") as stream:
                header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)
                self._offset = stream.tell()
                stream.truncate(self._offset + self._bytes(shape[0]))

    def read(self, start: int, stop: int) -> np.ndarray | None:
        """Rows start to stop, if they were written as one part and are whole; else None."""
        assert self._sums is not None
        if (start, stop) not in self._sums:
            return None
        with open(self.path, "rb") as stream:
            stream.seek(self._offset + self._bytes(start))
            data = stream.read(self._bytes(stop - start))
        if hashlib.sha256(data).hexdigest() != self._sums[start, stop]:
            return None
        return np.frombuffer(data, "<f4").reshape(stop - start, self.shape[1])

    def write(self, start: int, values: np.ndarray) -> None:
        """Write a part [n, F] at row `start`; it is on disk when this returns."""
        assert self._sums is not None
        stop = start + len(values)
        if values.shape[1:] != self.shape[1:] or stop > self.shape[0]:
            raise ValueError(
                f"rows {start} to {stop} of {values.shape} are not part of {self.shape}"
            )
        data = np.ascontiguousarray(values, "<f4").tobytes()
        with naming(self.path), open(self.path, "rb+") as stream:
            stream.seek(self._offset + self._bytes(start))
            stream.write(data)
            _to_disk(stream)
        self._sums[start, stop] = hashlib.sha256(data).hexdigest()
        entry = {"start": start, "stop": stop, "sha256": self._sums[start, stop]}
        with naming(self._list), open(self._list, "a", encoding="utf-8") as stream:
            stream.write(f"\n{json.dumps(entry)}\n")  # the line before it may have been cut off
            _to_disk(stream)

    def forget(self) -> None:
        """Remove the list of parts, so that the file can be gone on with no more."""
        self._list.unlink(missing_ok=True)

    def _bytes(self, rows: int) -> int:
        return 4 * self.shape[1] * rows

    def _fits(self) -> bool:
        """Whether a file of this shape is there; sets where its values begin."""
        try:
            with open(self.path, "rb") as stream:
                if np.lib.format.read_magic(stream) != (1, 0):
                    return False
                shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
                self._offset = stream.tell()
            size = self.path.stat().st_size
        except (OSError, ValueError):
            return False
        same = (shape, fortran, kind) == (self.shape, False, np.dtype("<f4"))
        return same and size == self._offset + self._bytes(self.shape[0])

    def _listed(self) -> dict[tuple[int, int], str] | None:
        """{(start, stop): checksum} of the parts that the list names; None without a list."""
        found = {}
        try:
            lines = self._list.read_bytes().splitlines()
        except OSError:
            return None
        for line in lines:
            try:
                entry = parse_object(line)
                found[int(entry["start"]), int(entry["stop"])] = str(entry["sha256"])
            except (ValueError, KeyError, TypeError, OverflowError):
                continue  # cut off by a crash, or damaged: its part counts as not written
        return found


def _to_disk(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())
