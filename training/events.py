"""What training tells while it goes on: one small class an event, sent from rank 0 to `report`."""

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
    """Training begins, or goes on from a checkpoint, at `nimg` of `total_nimg` images."""

    kind: ClassVar[str] = "start"
    total_nimg: int
    resumed: bool


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
    """The gate of the structure game has opened, shut, or is shut for another reason."""

    kind: ClassVar[str] = "gate"
    open: bool
    reason: str
    explanation: str


@dataclass(frozen=True)
class SamplesDrawn(Event):
    """A preview: pictures uint8 [N, H, W, C] of the average of length `sigma_rel`."""

    kind: ClassVar[str] = "samples"
    sigma_rel: float
    images: np.ndarray


@dataclass(frozen=True)
class SnapshotSaved(Event):
    """The averages of the deployed network lie in files; `path` is the last of them.

    rung: metrics that a sweep's judge adds (pipelines/sweeps/trial.py).
    """

    kind: ClassVar[str] = "snapshot"
    path: str
    rung: dict[str, Any] | None = None


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """All that the future of the run depends on lies in `path`."""

    kind: ClassVar[str] = "checkpoint"
    path: str


@dataclass(frozen=True)
class Message(Event):
    """A line for the person who watches."""

    kind: ClassVar[str] = "message"
    text: str


@dataclass(frozen=True)
class Ended(Event):
    """The run is complete."""

    kind: ClassVar[str] = "end"


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """The report of a training that nobody watches."""
