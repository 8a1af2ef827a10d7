"""Progress of long stages: a live bar on a terminal, elsewhere a line every 15 seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from foundation.durations import duration

PLAIN_SECONDS = 15.0
SURE_SECONDS = 3.0
"""After so many seconds the first line of a long phase tells the time left."""


class PlainLines:
    """Prints a line at most every PLAIN_SECONDS; for CI, pipes and log files."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.printed = 0
        self._last = clock()

    def offer(self, line: Callable[[], str], force: bool = False) -> None:
        """Print line() if the last line is PLAIN_SECONDS old, or if forced."""
        if force or self.clock() - self._last >= PLAIN_SECONDS:
            self._last = self.clock()
            self.printed += 1
            print(line(), file=sys.stderr, flush=True)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how far one piece of work has come; one that has several phases takes `phases`.

    Yields `report(done, total=None)`, which may be called often; its total replaces the one given
    here.
    """
    with _shown() as begin:
        show = begin(description, total)
        yield lambda done, new_total=None: show(done, total if new_total is None else new_total)


@contextmanager
def phases(
    description: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[str, int, int | None], None]]:
    """Show how far each phase of a long piece of work has come, by a bar and a clock of its own.

    Yields `report(phase, done, total)`; a new name of a phase begins a new bar.
    """
    bars: dict[str, Callable[[int, int | None], None]] = {}
    with _shown(clock) as begin:

        def report(phase: str, done: int, total: int | None) -> None:
            if phase not in bars:
                bars[phase] = begin(f"{description}: {phase}", total)
            bars[phase](done, total)

        yield report


@contextmanager
def _shown(
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[str, int | None], Callable[[int, int | None], None]]]:
    """Yields `begin(description, total)`, which begins a bar and returns report(done, total)."""
    from pipelines.console.terminal import terminal

    console = terminal(stderr=True)
    if not console.is_terminal:
        lines = PlainLines(clock)
        yield lambda description, total: plain_report(description, total, clock, lines)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with bars:

        def begin(description: str, total: int | None) -> Callable[[int, int | None], None]:
            task = bars.add_task(description, total=total)
            return lambda done, whole: bars.update(task, completed=done, total=whole)

        yield begin


def plain_report(
    description: str,
    total: int | None,
    clock: Callable[[], float] = time.monotonic,
    lines: PlainLines | None = None,
) -> Callable[..., None]:
    """The report of one phase. lines: shared with the phases before it."""
    lines = lines or PlainLines(clock)
    earlier = lines.printed
    first: list[tuple[float, int]] = []  # time and `done` of the first report

    def report(done: int, new_total: int | None = None) -> None:
        whole = new_total if new_total is not None else total
        if not first or done < first[0][1]:
            first[:] = [(clock(), done)]
        began, before = first[0]
        elapsed = clock() - began
        left = elapsed / (done - before) * (whole - done) if whole and done > before else None

        def text() -> str:
            if left is None or not whole:
                return f"{description}: {done}" + (f"/{whole}" if whole else "")
            return f"{description}: {done}/{whole} ({done / whole:.0%}), {duration(left)} left"

        silent = lines.printed == earlier
        # A long phase tells early how long it is; and if it told anything, also that it is done.
        long = left is not None and elapsed >= SURE_SECONDS and left >= PLAIN_SECONDS
        lines.offer(text, force=(silent and long) or (not silent and done == whole))

    return report
