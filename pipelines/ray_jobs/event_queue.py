"""Carries events from the training workers to the driver; its failures never end a training.

It does not import Ray: the caller passes functions that reach the mailbox.
"""

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable

from training.events import Event, Report

Push = Callable[[list[Event]], None]
Drain = Callable[[], list[Event]]

REST = 10.0
"""After a failed attempt of t seconds a worker makes none for REST * t seconds, so that a mailbox
that does not answer slows a training by a tenth at most."""

MOST_WAITING = 1000
"""Number of events, the latest ones, that a worker keeps while it reaches no mailbox."""


class Mailbox:
    """Holds rank 0's events until the driver fetches them; runs as a Ray actor."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def push(self, events: list[Event]) -> None:
        self.events += events

    def drain(self) -> list[Event]:
        events, self.events = self.events, []
        return events


class Sender:
    """The worker's end: sends events to the mailbox. Those that do not arrive are sent next time.

    find: looks up the mailbox and returns its `push`. Both may raise; a call of Sender does not.
    """

    def __init__(self, find: Callable[[], Push], clock: Callable[[], float] = time.monotonic):
        self.find, self.clock = find, clock
        self.rest_until = float("-inf")
        self.push: Push | None = None
        self.waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self.told = False

    def __call__(self, event: Event) -> None:
        self.waiting.append(event)
        begun = self.clock()
        if begun < self.rest_until:
            return
        error = self._send() and self._send()  # the driver may have made another mailbox
        if error:
            now = self.clock()
            self.rest_until = now + REST * (now - begun)
        if error and not self.told:
            self.told = True
            warnings.warn(f"training goes on, but its events do not arrive: {error!r}")

    def close(self, seconds: float = 20.0, every_s: float = 0.25) -> None:
        """Send what still waits at the end of a training, for at most `seconds`; never raises.

        A training may end while the driver is still making a lost mailbox anew.
        """
        until = time.monotonic() + seconds
        while self.waiting and time.monotonic() < until:
            time.sleep(every_s)
            self._send()

    def _send(self) -> Exception | None:
        """Send all that waits; returns why it did not arrive. Forgets a mailbox that is gone."""
        try:
            self.push = self.push or self.find()
            self.push(list(self.waiting))
        except Exception as error:
            self.push = None
            return error
        self.waiting.clear()
        return None


def steady(report: Report) -> Report:
    """`report` without its exceptions: the first one becomes a warning, later ones are ignored.

    KeyboardInterrupt and SystemExit still raise, since they are meant for the training.
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
    """The driver's end: pass events to `report` every `every_s` seconds, and once after `stop`.

    drain: fetches the events from the mailbox. make_anew: replaces a lost mailbox and returns the
    `drain` of the new one. The events in the lost one are gone; one warning says so.
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
        except Exception:  # if Ray is shutting down, trainer.fit says why
            mailbox, events = None, []
        for event in events:
            report(event)
        if finished:
            return
