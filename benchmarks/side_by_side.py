"""Times several ways to do one thing, in turn, so that a busy machine is busy for each of them."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a benchmark's table."""

    what: str
    ours: float
    """The median, in `unit`."""
    peer: str = ""
    peers: float | None = None
    """Of the peer, the median, in `unit`."""
    ratio: float | None = None
    """Ours by the peer's, the median over rounds."""
    spread: tuple[float, float] | None = None
    """Of the ratio: first and third quartile."""
    aim: float | None = None
    """The largest value wanted: of the ratio, or of ours where there is no peer."""
    note: str = ""
    unit: str = "s"
    """Of ours and the peer's: s, MB, or "" for a number without unit."""

    @property
    def missed(self) -> bool:
        reached = self.ours if self.ratio is None else self.ratio
        return self.aim is not None and reached > self.aim


def nothing() -> None:
    """Does nothing."""


def side_by_side(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    finished: Callable[[], object] = nothing,
) -> dict[str, list[float]]:
    """Seconds of each way in each round, after one call of each that is not counted.

    Every second round goes through the ways in the reverse order. finished: waits for what a call
    has set going elsewhere, such as on a GPU.
    """
    for way in ways.values():
        way()
    finished()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            ways[name]()
            finished()
            taken[name].append(time.perf_counter() - start)
    return taken


def compared(
    what: str,
    ours: Sequence[float],
    peer: str,
    peers: Sequence[float],
    aim: float | None = None,
    note: str = "",
    unit: str = "s",
) -> Row:
    """The row of our seconds, or of what `unit` says, beside a peer's, round by round."""
    ratios = sorted(a / b for a, b in zip(ours, peers, strict=True))
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Row(
        what,
        statistics.median(ours),
        peer,
        statistics.median(peers),
        statistics.median(ratios),
        (quartiles[0], quartiles[2]),
        aim,
        note,
        unit,
    )


def machine() -> dict[str, str | int | float]:
    """What one must know to read times: processor, threads, and how busy the machine is."""
    import torch  # which --help does without

    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as stream:
            models = [line.split(":")[1].strip() for line in stream if "model name" in line]
        model = models[0] if models else model
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
    }
