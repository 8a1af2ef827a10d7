"""When rank 0 saves a checkpoint: every so many seconds, at the end, and when it shall leave."""

import time
from pathlib import Path

from training.events import CheckpointSaved, Left, Report
from training.state.checkpoint import save_checkpoint
from training.state.curves import Curves
from training.state.leaving import TrainingStopped, watch
from training.state.train_state import TrainState


class Saver:
    """Saves the checkpoints of the run in `folder`; `after_step` is called once a step.

    Args:
        every_s: seconds between two checkpoints.
        curves: what has been logged is on the disk before a checkpoint counts it as logged.
        tell: receives CheckpointSaved, and Left.
    """

    def __init__(self, folder: Path, every_s: float, curves: Curves, tell: Report):
        self._folder, self._every_s, self._curves, self._tell = folder, every_s, curves, tell
        self._asked_to_leave = watch(folder)
        self._last = time.monotonic()

    def after_step(self, state: TrainState, done: bool) -> None:
        """Save a checkpoint if one is due.

        done: whether this was the last step. Raises TrainingStopped if the training was asked to
        leave before it, when the checkpoint is saved.
        """
        leaves = not done and self._asked_to_leave()
        if not (done or leaves or time.monotonic() - self._last >= self._every_s):
            return
        self._curves.sync()
        tensors, plain = state.saved()
        plain |= {"curves": self._curves.digest}
        path = save_checkpoint(self._folder / "checkpoints", state.nimg, tensors, plain)
        self._last = time.monotonic()
        self._tell(CheckpointSaved(state.nimg, str(path)))
        if leaves:
            self._tell(Left(state.nimg))
            raise TrainingStopped(state.nimg)
