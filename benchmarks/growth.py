"""Samples what a process and its files take while it runs, and fits how fast that grows."""

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1e6
WARM_UP = 1 / 3
"""Share of the samples, at the beginning, that no slope is fitted to."""
BLOCKS = 10
"""Means over so many parts of the rest are fitted, since neighbouring samples depend on each other.
"""


@dataclass(frozen=True)
class Growth:
    """How one quantity has grown."""

    first: float
    """MB at the end of the warm-up."""
    last: float
    slope: float | None
    """MB a minute; None where there are too few samples."""
    low: float | None
    """End of the 95% interval of the slope, and `high` the other one."""
    high: float | None

    @property
    def told(self) -> str:
        """The slope with its interval, in words."""
        if self.slope is None or self.low is None or self.high is None:
            return "too few samples"
        return f"{self.slope:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def fit(minutes: Sequence[float], values: Sequence[float]) -> Growth:
    """Growth of values [N] in MB over minutes [N], ascending, after the warm-up.

    The slope is that of the line of least squares through the means of BLOCKS parts, its interval
    Student's t with BLOCKS - 2 degrees of freedom.
    """
    begin = int(len(values) * WARM_UP)
    x, y = list(minutes[begin:]), list(values[begin:])
    size = len(x) // BLOCKS
    if size < 1:
        return Growth(y[0], y[-1], None, None, None)
    # The last parts are whole, and what is left over belongs to the warm-up.
    x, y = x[len(x) - size * BLOCKS :], y[len(y) - size * BLOCKS :]
    means = [
        [statistics.fmean(part[k * size : (k + 1) * size]) for k in range(BLOCKS)]
        for part in (x, y)
    ]
    line = statistics.linear_regression(*means)
    errors = [b - line.slope * a - line.intercept for a, b in zip(*means, strict=True)]
    spread = math.fsum((a - statistics.fmean(means[0])) ** 2 for a in means[0])
    deviation = math.sqrt(math.fsum(e * e for e in errors) / (BLOCKS - 2) / spread)
    reach = student_t(BLOCKS - 2) * deviation
    return Growth(y[0], y[-1], line.slope, line.slope - reach, line.slope + reach)


def student_t(freedom: int) -> float:
    """The 97.5% quantile of Student's t."""
    from scipy.stats import t  # which --help does without

    return float(t.ppf(0.975, freedom))


def memory_mb(process: int) -> float:
    """MB resident of a process and all its descendants; pages that they share count for each."""
    import psutil

    total = 0
    try:
        first = psutil.Process(process)
        members = [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for member in members:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
    return total / MB


def size_mb(path: Path) -> float:
    """MB of a file with those that SQLite keeps beside it, or of all files of a folder."""
    if path.is_dir():
        files = [Path(where, name) for where, _, names in os.walk(path) for name in names]
    else:
        files = [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-journal")]
    total = 0
    for file in files:
        try:
            total += file.lstat().st_size
        except OSError:  # it has gone meanwhile, or is not there yet
            continue
    return total / MB


@dataclass
class Samples:
    """Quantities in MB at some minutes: {name: values [N]} beside minutes [N]."""

    minutes: list[float]
    values: dict[str, list[float]]

    def growth(self) -> dict[str, Growth]:
        """The growth of each quantity."""
        return {name: fit(self.minutes, found) for name, found in self.values.items()}


def watch(
    looks: Mapping[str, Callable[[], float]],
    every_s: float,
    until_s: float,
    running: Callable[[], bool],
    told: Callable[[float], None] = lambda seconds: None,
) -> Samples:
    """Look at each quantity every so many seconds, until `until_s` or while `running`.

    told: called with the seconds so far.
    """
    begun, samples = time.monotonic(), Samples([], {name: [] for name in looks})
    while running() and (now := time.monotonic() - begun) < until_s:
        found = {name: look() for name, look in looks.items()}
        if running():  # a process that has just ended takes nothing
            samples.minutes.append(now / 60)
            for name, value in found.items():
                samples.values[name].append(value)
        told(now)
        time.sleep(max(0.0, min(every_s, until_s - (time.monotonic() - begun))))
    return samples
