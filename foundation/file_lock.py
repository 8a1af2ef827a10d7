"""A lock that one process holds at a time, on this machine or on another that shares the folder."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from foundation.atomic_files import make_folder


class LockHeld(RuntimeError):
    """Another process holds the lock."""


@contextmanager
def holding(
    path: str | Path,
    wait_s: float = 0.0,
    waiting: Callable[[str], None] = lambda holder: None,
) -> Iterator[None]:
    """Context that holds the lock file `path`; the system frees it when the process ends.

    Args:
        wait_s: seconds to wait for another holder.
        waiting: called once with words for the holder, before the wait.

    Raises LockHeld, with words for the holder, if another process holds it still.
    """
    path = Path(path)
    make_folder(path.parent)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if wait_s > 0:
            waiting(holder(path))
        try:
            lock.acquire(timeout=wait_s, poll_interval=0.1)
        except Timeout:
            raise LockHeld(holder(path)) from None
    note = _note(path)
    try:
        with suppress(OSError):  # the note of another user, or a full disk; the lock holds without
            note.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def holder(path: str | Path) -> str:
    """Words for the process that holds a lock, such as "process 17 on node3"."""
    try:
        return _note(Path(path)).read_text() or "another process"
    except (OSError, ValueError):  # it has just begun, or just ended
        return "another process"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")
