"""Open files for reading, and nothing that only looks like a file."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path | str) -> BinaryIO:
    """A regular file, opened for reading; links are followed.

    Raises OSError for all else, at once: a pipe would keep a reader waiting for its writer, a
    device may never end.
    """
    _refuse_others(os.stat(path).st_mode)  # before opening, which does something to some devices
    # A pipe that took the file's place since then does not hold up the opening.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        _refuse_others(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_others(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
        raise OSError(f"not a regular file but a {kinds.get(stat.S_IFMT(mode), 'device')}")
