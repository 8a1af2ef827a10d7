"""Copies a run while it trains, after each checkpoint, in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.run_copies.run_copy import RunCopy, Say
from pipelines.run_copies.stores import StorageError, open_store
from training.events import CheckpointSaved, Event, Message, Report


def copy_of(folder: Path, address: str) -> RunCopy:
    """The copy at `address` (cluster.storage) of the run in `folder`."""
    return RunCopy(open_store(address, folder.name), folder)


@contextmanager
def copied(folder: Path, address: str | None, report: Report, say: Say) -> Iterator[Report]:
    """Context of a training in `folder`; yields the report that it is to be given.

    address: cluster.storage; None: no copy is made. After each checkpoint the copy is brought up to
    date, by a thread: training does not wait, and checkpoints that come meanwhile go together. At
    the end, also of a training that was told to stop, the last of it is copied before the context
    is left. A failure never ends a training: it is told by Message, and tried again after the next
    checkpoint; at the end `say` tells what became of it.
    """
    if address is None:
        yield report
        return
    copier = _Copier(copy_of(folder, address), report)
    copier.start()
    try:
        yield copier.report
    finally:
        say(copier.close(address))


class _Copier:
    def __init__(self, copy: RunCopy, report: Report):
        self.copy, self._report = copy, report
        self._due, self._ends = threading.Event(), False
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def report(self, event: Event) -> None:
        """Pass an event on; a checkpoint makes a copy due."""
        self._report(event)
        if isinstance(event, CheckpointSaved):
            self._due.set()

    def close(self, address: str) -> str:
        """Copy what is left; returns a line about it."""
        self._ends = True
        self._due.set()
        self._thread.join()
        try:
            newest = self.copy.save()
        except (StorageError, OSError) as error:
            return f"note: {error}; the copy of this run is not up to date"
        if newest is None:
            return "no checkpoint is there to be copied"
        return f"a copy of this run at {newest / 1000:g} kimg is in {address}"

    def _work(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._ends:
                return
            try:
                self.copy.save()
                self._fault = None
            except (StorageError, OSError) as error:
                if str(error) != self._fault:  # each fault once, until a copy succeeds
                    self._fault = str(error)
                    text = f"train: note: {error}; training goes on, and tries again later"
                    self._report(Message(0, text))
