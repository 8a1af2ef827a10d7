"""Shows how many of its pairs a student's teacher has drawn, before the training itself begins."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from foundation.durations import duration
from pipelines.console.progress import PlainLines, plain_report

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

WHAT = "pairs of the teacher"


class PairsBar:
    """Called with (pairs drawn, all to draw): a second bar above that of the training, or lines.

    Args:
        title: name of the student.
        bar: of the training, with the fields `kimg` and `figures`; None: there is no terminal, and
            `lines` prints.
    """

    def __init__(
        self,
        title: str,
        bar: "Progress | None",
        lines: PlainLines,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._bar, self._clock = bar, clock
        self._name = f"{title}: {WHAT}" if title else WHAT
        self._task: TaskID | None = None
        self._report = plain_report(self._name, None, clock, lines)
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._report(done, total)
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=total, kimg="", figures="")
        said = f"{self._name} {done:,}/{total:,}"
        self._bar.update(
            self._task, completed=done, total=total, kimg=said, figures=self._left(done, total)
        )
        if done == total:
            self._bar.remove_task(self._task)
            self._task = self._first = None

    def _left(self, done: int, total: int) -> str:
        now = self._clock()
        if self._first is None:
            self._first = now, done
        began, before = self._first
        if done <= before:
            return ""
        return f"{duration((now - began) / (done - before) * (total - done))} left"
