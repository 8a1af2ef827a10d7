"""A disk of a few megabytes, which a test may fill; loaded by run_path."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, megabytes: float) -> Iterator[Path]:
    """An empty file system of so many megabytes at `place`; skips the test if none may be made."""
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k"]
    made = subprocess.run(["mount", *options, "tmpfs", str(place)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"only root may mount a small disk: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, left: int) -> Path:
    """Fill the disk but for about `left` bytes, by the file that is returned."""
    filler = place / "filler"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    filler.write_bytes(b"x" * max(0, free - left))
    return filler
