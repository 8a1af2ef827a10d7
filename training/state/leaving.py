"""How a training is asked to save a checkpoint after its step and to leave.

The request is a file in the run's folder, so that a driver can ask workers on other nodes, and
anybody can ask by hand: `touch .runs/train-.../leave`.
"""

import time
from collections.abc import Callable
from pathlib import Path

LEAVE = "leave"
LOOK_S = 0.5
"""Seconds between two looks for the file, which may lie on a slow disk."""


class TrainingStopped(Exception):
    """A training left before its end, as it was asked to, after it had saved a checkpoint."""

    def __init__(self, nimg: int):
        super().__init__(f"training stopped at {nimg / 1000:g} kimg, where a checkpoint is saved")
        self.nimg = nimg


def ask_to_leave(folder: Path) -> None:
    """Ask the training of the run in `folder` to leave."""
    (Path(folder) / LEAVE).touch()


def forget_request(folder: Path) -> None:
    """Remove the request, before a training starts or after it has left."""
    (Path(folder) / LEAVE).unlink(missing_ok=True)


def watch(folder: Path, clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """A function that says whether training was asked to leave; it looks every LOOK_S seconds."""
    path, last = Path(folder) / LEAVE, float("-inf")

    def asked() -> bool:
        nonlocal last
        if clock() - last < LOOK_S:
            return False
        last = clock()
        return path.exists()

    return asked
