"""Progress of long stages: a live bar on a terminal, elsewhere a line every 15 seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PLAIN_SECONDS = 15.0


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


def duration(seconds: float) -> str:
    """Seconds as 0:05, 12:40 or 3:02:01."""
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how far a long piece of work has come.

    Yields `report(done, total=None)`, which may be called often; its total replaces the one given
    here.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(description, total)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task(description, total=total)

        def live(done: int, new_total: int | None = None) -> None:
            bar.update(task, completed=done, total=new_total if new_total is not None else total)

        yield live


def _plain(
    description: str, total: int | None, clock: Callable[[], float] = time.monotonic
) -> Callable[..., None]:
    lines = PlainLines(clock)
    first: list[tuple[float, int]] = []  # time and `done` of the first report

    def report(done: int, new_total: int | None = None) -> None:
        whole = new_total if new_total is not None else total
        if not first or done < first[0][1]:
            first[:] = [(clock(), done)]

        def text() -> str:
            began, before = first[0]
            if not whole or done == before:
                return f"{description}: {done}" + (f"/{whole}" if whole else "")
            left = (clock() - began) / (done - before) * (whole - done)
            return f"{description}: {done}/{whole} ({done / whole:.0%}), {duration(left)} left"

        # If a line was printed before, also print that the work is done.
        lines.offer(text, force=bool(lines.printed and done == whole))

    return report
