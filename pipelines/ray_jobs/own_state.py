"""Limits what Ray keeps on disk of a training: one folder for each start.

Training resumes from our own checkpoints alone. Ray's folders are kept only to explain failures.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_FAILURES = 3


@contextmanager
def ray_state(storage: Path, run: str) -> Iterator[str]:
    """Context with a new name for one start of `run`, under which Ray keeps its state in `storage`.

    That folder is removed if the block succeeds. Of the folders of failed or killed starts of the
    run, the latest KEPT_FAILURES are kept.
    """
    name = f"{run}-{uuid.uuid4().hex[:12]}"  # Ray would resume by itself from a known name
    try:
        yield name
        shutil.rmtree(storage / name, ignore_errors=True)
    finally:
        left = sorted(storage.glob(f"{run}-*"), key=lambda path: path.stat().st_mtime)
        for folder in left[:-KEPT_FAILURES]:
            shutil.rmtree(folder, ignore_errors=True)
