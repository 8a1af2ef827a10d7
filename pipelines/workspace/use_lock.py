"""One lock for the whole project: commands share it while they run, pipelines.clean has it alone.

It is a lock of the system on the file .runs/use.lock, which holds in containers too, and ends with
the process. pipelines.clean never removes the file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "use.lock"


@contextmanager
def using(runs: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Context in which pipelines.clean removes nothing of a project.

    Args:
        runs: the project's folder .runs, which is made if need be.
        waiting: called once if pipelines.clean removes something now, before the wait for its end.

    A folder that this user may not write, or that cannot be locked, is used without the lock:
    pipelines.clean could remove little there.
    """
    descriptor = None
    with suppress(OSError):
        descriptor = _locked(runs / NAME, fcntl.LOCK_SH, waiting)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Context that tells whether nobody holds a lock; if so, nobody can get it until its end.

    path: .runs/use.lock, or DVC's lock of a project, which is of the same kind. Raises OSError if
    the file cannot be opened or locked.
    """
    try:
        descriptor = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def _locked(path: Path, how: int, waiting: Callable[[], None] = lambda: None) -> int:
    """Descriptor of the locked file."""
    told = False
    while True:
        descriptor = _opened(path)
        try:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if how & fcntl.LOCK_NB:
                    raise
                if not told:
                    waiting()
                    told = True
                fcntl.flock(descriptor, how)
            # Somebody may have removed the file by hand: a lock on it would keep nobody off.
            if _same(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:  # another user's file; reading is enough for a lock
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
