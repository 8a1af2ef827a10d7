"""Carries events from the training workers to the driver, and never ends a training.

Imports nothing heavy, and not Ray: who calls says how the mailbox is reached.
"""

import threading
import warnings
from collections import deque
from collections.abc import Callable

from training.events import Event, Report

Push = Callable[[list[Event]], None]
Drain = Callable[[], list[Event]]

MOST_WAITING = 1000
"""Events that a worker keeps while there is no mailbox; of more, the latest."""


class Mailbox:
    """A Ray actor's body: holds rank 0's events until the driver fetches them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def push(self, events: list[Event]) -> None:
        self.events += events

    def drain(self) -> list[Event]:
        events, self.events = self.events, []
        return events


class Sender:
    """A worker's end. Events that find no mailbox wait, and go with a later one.

    find: looks the mailbox up, and gives its `push`; both may raise, a call of Sender does not.
    """

    def __init__(self, find: Callable[[], Push]):
        self.find = find
        self.push: Push | None = None
        self.waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self.told = False

    def __call__(self, event: Event) -> None:
        self.waiting.append(event)
        for last_attempt in (False, True):  # the driver may have made another mailbox
            try:
                self.push = self.push or self.find()
                self.push(list(self.waiting))
            except Exception as error:
                self.push = None
                if last_attempt and not self.told:
                    self.told = True
                    warnings.warn(f"training goes on, but its events do not arrive: {error!r}")
            else:
                self.waiting.clear()
                return


def steady(report: Report) -> Report:
    """`report` whose failures do not reach the training: one warning tells the first.

    KeyboardInterrupt and SystemExit pass, since they are meant for the training.
    """
    told = False

    def safely(event: Event) -> None:
        nonlocal told
        try:
            report(event)
        except Exception as error:
            if not told:
                warnings.warn(f"training goes on, but its progress cannot be shown: {error!r}")
            told = True

    return safely


def forward(
    drain: Drain,
    make_anew: Callable[[], Drain],
    report: Report,
    stop: threading.Event,
    every_s: float,
) -> None:
    """The driver's end: hand events to `report` every `every_s` seconds, and once after `stop`.

    make_anew: makes another mailbox in place of a lost one, and gives its `drain`. Events that were
    in the lost one are gone, which one warning tells.
    """
    report, told = steady(report), False
    mailbox: Drain | None = drain
    while True:
        finished = stop.wait(every_s)
        try:
            if mailbox is None and not finished:
                mailbox = make_anew()
                if not told:
                    warnings.warn(
                        "the mailbox of the training's events was lost and made anew: "
                        "points of its curves may be missing"
                    )
                told = True
            events = mailbox() if mailbox is not None else []
        except Exception:  # Ray may be going down: then trainer.fit says why
            mailbox, events = None, []
        for event in events:
            report(event)
        if finished:
            return
