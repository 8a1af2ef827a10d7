"""Signals by which schedulers and closed terminals end a process, and how stages end on them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
SAVED = 75
"""Exit code of a training that was told to stop and has saved a checkpoint before; EX_TEMPFAIL of
sysexits.h: try again later."""
STOPPED = (SAVED, signal.SIGTERM, *(128 + number for number in STOP_SIGNALS))
"""Exit codes of a stage that was told to stop."""
Handler = Callable[[int, FrameType | None], None]


@contextmanager
def stop_signals(handler: Handler, also: tuple[int, ...] = ()) -> Iterator[None]:
    """Context in which SIGTERM, SIGHUP and the signals `also` are handled by `handler`.

    One that is ignored stays ignored, as nohup wants it. At SIGHUP what goes to a terminal, which
    is gone, is no longer written. What the handler raised is what leaves the context, also where
    it met `ray.get`, which raises SystemExit(1) in its place. Only the main thread can set
    handlers; in another thread nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminals = [number for number in (0, 1, 2) if os.isatty(number)]
    raised: BaseException | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if number == signal.SIGHUP:
            _write_nowhere(terminals)
        try:
            handler(number, frame)
        except BaseException as end:
            raised = end
            raise

    numbers = [n for n in (*STOP_SIGNALS, *also) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as arrived:
        if raised is None or raised is arrived:
            raise
        raise raised from None
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier or signal.SIG_DFL)


def _write_nowhere(terminals: list[int]) -> None:
    """Turn these open files to /dev/null, since each print would fail."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in terminals:
            os.dup2(nowhere, number)
        os.close(nowhere)
