"""The events that rank 0 sends to `report` while training goes on, a class for each kind."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Event:
    """Something that happened when `nimg` images had been seen."""

    kind: ClassVar[str] = ""
    nimg: int


@dataclass(frozen=True)
class Started(Event):
    """Training begins, or resumes from a checkpoint, at `nimg` of `total_nimg` images."""

    kind: ClassVar[str] = "start"
    total_nimg: int
    resumed: bool


@dataclass(frozen=True)
class Stepped(Event):
    """Training goes on: told at most once a second, for an estimate of the time left."""

    kind: ClassVar[str] = "step"


@dataclass(frozen=True)
class Logged(Event):
    """Means of the metrics since the last such event, and the speed since then."""

    kind: ClassVar[str] = "log"
    metrics: dict[str, float]
    img_per_s: float


@dataclass(frozen=True)
class HeldOutMeasured(Event):
    """Losses on held-out and on training images at fixed noise."""

    kind: ClassVar[str] = "held_out"
    metrics: dict[str, float]


@dataclass(frozen=True)
class GateChanged(Event):
    """The gate of the structure game has opened, has shut, or is now shut for another reason."""

    kind: ClassVar[str] = "gate"
    open: bool
    reason: str
    explanation: str


@dataclass(frozen=True)
class SamplesDrawn(Event):
    """Preview pictures uint8 [N, H, W, C], drawn with the averages of length `sigma_rel`."""

    kind: ClassVar[str] = "samples"
    sigma_rel: float
    images: np.ndarray


@dataclass(frozen=True)
class SnapshotSaved(Event):
    """The averages of the deployed network have been saved; `path` is the last of the files.

    rung: metrics that a sweep's judge adds (pipelines/sweeps/trial.py).
    """

    kind: ClassVar[str] = "snapshot"
    path: str
    rung: dict[str, Any] | None = None


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint, from which the run can resume, has been saved at `path`."""

    kind: ClassVar[str] = "checkpoint"
    path: str


@dataclass(frozen=True)
class Message(Event):
    """A line of text for the user."""

    kind: ClassVar[str] = "message"
    text: str


@dataclass(frozen=True)
class Ended(Event):
    """The run is complete."""

    kind: ClassVar[str] = "end"


Report = Callable[[Event], None]


class Pulse:
    """Sends a report `Stepped` at most once in SECONDS."""

    SECONDS = 1.0

    def __init__(self, report: Report) -> None:
        self.report, self.last = report, -math.inf

    def __call__(self, nimg: int) -> None:
        """A step has ended at `nimg` images."""
        if time.monotonic() - self.last >= self.SECONDS:
            self.last = time.monotonic()
            self.report(Stepped(nimg))


def silent(event: Event) -> None:
    """A report that ignores all events."""


def words(report: Report) -> Callable[[str], None]:
    """A function that sends a line of text to `report`."""
    return lambda text: report(Message(0, text))
