"""A training that is sent SIGTERM, SIGHUP or Ctrl-C saves a checkpoint after its step and leaves.

Schedulers send SIGTERM to a job some time before they take its machine away; SIGHUP comes when a
terminal is closed. A second signal ends the training at once, as does one before its first step.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from pipelines.tracking.stop_signals import SAVED, stop_signals
from training.events import Event, Left, Report, Started
from training.state.leaving import TrainingStopped, ask_to_leave, forget_request


class _Leaving:
    """What has been asked of the training in `folder`, and how far it is."""

    def __init__(self, folder: Path, report: Report):
        self.folder, self._report = folder, report
        self.asked: int | None = None
        """The signal that asked the training to leave."""
        self.left_at: int | None = None
        """Images after which it has saved its last checkpoint and left."""
        self._started = False

    def report(self, event: Event) -> None:
        """Pass an event on; once training has left, wake the main thread, which waits for Ray."""
        self._report(event)
        self._started = self._started or isinstance(event, Started)
        if isinstance(event, Left):
            self.left_at = event.nimg
            if threading.current_thread() is not threading.main_thread():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler: asks the first time, ends the training the second time."""
        if self.asked is not None or self.left_at is not None or not self._started:
            raise self.end(self.asked or number)
        self.asked = number
        try:
            ask_to_leave(self.folder)
        except OSError:  # a full disk or a lost folder: nothing could be saved there either
            raise self.end(number) from None
        line = (
            f"{signal.Signals(number).name}: training saves a checkpoint after this step and "
            "stops; send it once more to stop at once\n"
        )
        with suppress(OSError):  # the terminal may be gone
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, line.encode())

    def end(self, number: int) -> BaseException:
        """What ends the stage after this signal."""
        if number == signal.SIGINT:
            return KeyboardInterrupt()
        return SystemExit(128 + number if self.left_at is None else SAVED)


@contextmanager
def leaving_on_signals(folder: Path, report: Report) -> Iterator[Report]:
    """Context of a training in `folder`; yields the report that the training is to be given.

    After SIGTERM or SIGHUP the stage ends with SystemExit(SAVED) once a checkpoint is saved, or
    with 128 and the signal's number if none could be; after Ctrl-C with KeyboardInterrupt. A signal
    that is ignored, as nohup does with SIGHUP, stays ignored.
    """
    forget_request(folder)
    if threading.current_thread() is not threading.main_thread():
        yield report
        return
    leaving = _Leaving(folder, report)
    try:
        with stop_signals(leaving.on_signal, also=(signal.SIGINT,)):
            yield leaving.report
    except TrainingStopped as stop:
        leaving.left_at = stop.nimg
    finally:
        forget_request(folder)
        if leaving.left_at is not None:
            print(
                f"saved and stopped at {leaving.left_at / 1000:g} kimg: the same command goes on "
                "from there",
                file=sys.stderr,
                flush=True,
            )
    if leaving.asked is not None:
        raise leaving.end(leaving.asked)
    if leaving.left_at is not None:  # the request was made by hand, by its file
        raise SystemExit(SAVED)
