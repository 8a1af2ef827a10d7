"""The events that rank 0 sends to `report` while training goes on, a class for each kind."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

TELL_S = 1.0
"""Seconds between two events that tell only how far training is."""


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
    """Training goes on; told about once a second, so that the time left can be estimated."""

    kind: ClassVar[str] = "step"


@dataclass(frozen=True)
class PairsDrawn(Event):
    """A student's teacher has drawn `done` of the `total` pairs that are not kept already.

    Told about once a second, before the first step that needs pairs; with several workers, by how
    far rank 0 is with its share.
    """

    kind: ClassVar[str] = "pairs"
    done: int
    total: int


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
class Left(Event):
    """The training was asked to leave, has saved a checkpoint, and stops before its end."""

    kind: ClassVar[str] = "left"


@dataclass(frozen=True)
class Ended(Event):
    """The run is complete."""

    kind: ClassVar[str] = "end"


Report = Callable[[Event], None]


def crossed(before: int, after: int, every_kimg: float) -> bool:
    """Whether an event of every so many kimg is due: a multiple lies in (before, after]."""
    every = every_kimg * 1000
    return int(after // every) > int(before // every)


def each_second(report: Report) -> Callable[[int], None]:
    """A function of the images seen that reports Stepped, at most once in TELL_S seconds."""
    last = -TELL_S

    def stepped(nimg: int) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_S:
            last = time.monotonic()
            report(Stepped(nimg))

    return stepped


def pairs_each_second(report: Report) -> Callable[[int, int], None]:
    """A function of (pairs drawn, all to draw) that reports PairsDrawn as `each_second` does.

    The last pair is always reported.
    """
    last = -TELL_S

    def drawn(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= TELL_S:
            last = time.monotonic()
            report(PairsDrawn(0, done, total))

    return drawn


def silent(event: Event) -> None:
    """A report that ignores all events."""
