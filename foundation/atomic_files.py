"""Files that appear whole or not at all: written under another name, flushed to disk, renamed."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.unfinished_files import unfinished_name

UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""Errors of writing, which come without a name where a file is open already."""


@contextmanager
def naming(path: str | Path, temporary: Path | None = None) -> Iterator[None]:
    """Context in which an error of writing that names no file names `path`.

    temporary: a name that stands for `path` while it is written.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None or str(temporary) in (error.filename, error.filename2)
        if error.errno in UNWRITTEN and unnamed:
            raise OSError(error.errno, error.strerror, str(path)) from error
        if error.errno is None and str(path) not in str(error):  # NumPy's has neither
            raise OSError(f"{path} cannot be written: {error}") from error
        raise


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, for the block to write a file at.

    When the block ends, the file is flushed to disk and takes the name `path`, with the rights of
    any new file; a crash leaves what stood there before. When the block raises, the file is
    removed; a full disk raises an OSError that names `path`.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = unfinished_name(path)
    try:
        with naming(path, temporary):
            temporary.touch()
            rights = temporary.stat().st_mode & 0o777
            yield temporary
            os.chmod(temporary, rights)  # safetensors makes files that only their owner can read
            with open(temporary, "rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8 so that it appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def copy_whole(source: str | Path, path: str | Path) -> None:
    """Copy the content of a file; the copy appears whole or not at all.

    It is a file of its own, and no hard link, so what damages one does not damage the other.
    """
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


def make_folder(folder: str | Path) -> None:
    """Make a folder and those above it, so that they outlast a power cut."""
    folder = Path(folder)
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for part in missing:
        sync_folder(part.parent)


def sync_folder(folder: str | Path) -> None:
    """Make renames in a folder outlast a power cut, where the file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a system that opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:  # a file system that flushes no folders
        pass
    finally:
        os.close(descriptor)
