"""What Ray keeps on disk of a training: one folder per start, which nothing of ours reads.

Our checkpoints are the only source of resumption. Ray's folder helps where a start has failed.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_FAILURES = 3


@contextmanager
def ray_state(storage: Path, run: str) -> Iterator[str]:
    """A new name for one start of `run`; Ray keeps its state in the folder of that name.

    The folder is removed when the block ends well, and stays when it raises. Of the run's starts
    that failed or were killed, the latest KEPT_FAILURES stay.
    """
    name = f"{run}-{uuid.uuid4().hex[:12]}"  # Ray would resume from a name that it knows
    try:
        yield name
        shutil.rmtree(storage / name, ignore_errors=True)
    finally:
        left = sorted(storage.glob(f"{run}-*"), key=lambda path: path.stat().st_mtime)
        for folder in left[:-KEPT_FAILURES]:
            shutil.rmtree(folder, ignore_errors=True)
