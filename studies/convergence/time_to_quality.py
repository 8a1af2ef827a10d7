"""When a training has reached a quality for good, and how much sooner than another.

T(q) is the time of the first measurement that is at most q and after which none is above q.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t


def reached(times: Sequence[float], losses: Sequence[float], quality: float) -> float | None:
    """T(quality); None if the last measurement is above it (the run is censored).

    times: ascending; losses: one for each.
    """
    first = None
    for time, loss in zip(times, losses, strict=True):
        if not loss <= quality:
            first = None
        elif first is None:
            first = time
    return first


@dataclass(frozen=True)
class Ratio:
    """How many times sooner an arm is there than its control, over seeds."""

    mean: float | None
    """Geometric mean over the seeds that reach the quality; None: none does."""
    low: float | None
    high: float | None
    """95% interval of it by Student's t over the logarithms; None with fewer than two seeds."""
    unreached: int
    """Seeds that never reach it: their ratio is below 1, and by how much is not known."""
    seeds: int

    def __str__(self) -> str:
        if self.mean is None:
            return f"not reached ({self.seeds} of {self.seeds})"
        text = f"{self.mean:.2f}"
        if self.low is not None:
            text += f" ({self.low:.2f} to {self.high:.2f})"
        return text + (f", {self.unreached} of {self.seeds} unreached" if self.unreached else "")


def ratio(pairs: Sequence[tuple[float, float | None]]) -> Ratio:
    """Of (time of the control, time of the arm or None) of each seed."""
    logs = [math.log(control / arm) for control, arm in pairs if arm is not None]
    unreached = len(pairs) - len(logs)
    if not logs:
        return Ratio(None, None, None, unreached, len(pairs))
    mean = float(np.mean(logs))
    if len(logs) < 2:
        return Ratio(math.exp(mean), None, None, unreached, len(pairs))
    half = float(student_t.ppf(0.975, len(logs) - 1) * np.std(logs, ddof=1) / len(logs) ** 0.5)
    return Ratio(
        math.exp(mean), math.exp(mean - half), math.exp(mean + half), unreached, len(pairs)
    )
