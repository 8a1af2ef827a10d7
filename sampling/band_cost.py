"""Predicts the time of an evaluation in bands from one band's own times and a link.

One band is evaluated alone, and each of its exchanges noted: what it computed before, and what
would travel. A link is a latency and a bandwidth. All bands are taken to be equally fast, so one
clock tells the time of all (docs/parallel_inference.md says what the model leaves out).
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.bands.held import HeldBands
from models.denoiser import Denoiser
from models.layers.exchange import Rows
from sampling.banded import BandedDenoiser


@dataclass(frozen=True)
class Link:
    """Between two workers, each way."""

    latency: float
    """Seconds until the first byte arrives."""
    bandwidth: float
    """Bytes a second."""


NVLINK = Link(5e-6, 250e9)
"""One direction between A100s (NVLink 3, 300 GB/s in the datasheet) with some loss; assumed."""
PCIE = Link(10e-6, 20e9)
"""PCI Express 4.0 x16 (32 GB/s in the datasheet), through the host; likewise."""


@dataclass(frozen=True)
class Exchanged:
    """One exchange of a band with the others."""

    before: float
    """Seconds of computing since the exchange before, until this one's values are offered."""
    meanwhile: float
    """Seconds of computing that need nothing of it, before it is waited for."""
    bytes: int
    """What travels to each receiver."""
    receivers: int
    """One after the other: 1 for rows, which go to two neighbours on links of their own."""
    fresh: bool
    """Its values are always those of this evaluation: the output."""


@dataclass(frozen=True)
class BandCost:
    """What one band of `count` does in an evaluation."""

    count: int
    exchanges: tuple[Exchanged, ...]
    after: float
    """Seconds of computing after the last exchange."""

    @property
    def computing(self) -> float:
        """Seconds of an evaluation without any waiting."""
        return self.after + sum(e.before + e.meanwhile for e in self.exchanges)

    @property
    def sent_bytes(self) -> int:
        """What a band in the middle sends in an evaluation, the output included."""
        return sum(e.bytes * (2 if e.receivers == 1 else e.receivers) for e in self.exchanges)

    def calibrated(self, measured: float) -> "BandCost":
        """With what messages cost the processors themselves, shared evenly among the exchanges.

        measured: seconds of a fresh evaluation over the machine's own, fast link; what it takes
        beyond the computing of a lone band.
        """
        each = max(0.0, measured - self.computing) / len(self.exchanges)
        exchanges = tuple(replace(e, before=e.before + each) for e in self.exchanges)
        return replace(self, exchanges=exchanges)

    def seconds(self, link: Link, *, displaced: bool) -> float:
        """Of one evaluation, once a trajectory is under way.

        An offered value leaves when the link is free, and arrives after its bytes and the latency.
        Fresh values are waited for. Displaced ones are those of the evaluation before, so they wait
        only where a whole evaluation was too short for them.
        """
        arrived: list[float] = []
        length = 0.0
        for _ in range(3):  # the third is like all that follow
            now = free = 0.0
            arrivals = []
            for number, exchange in enumerate(self.exchanges):
                now += exchange.before
                leaves = max(now, free)
                travel = exchange.bytes / link.bandwidth * exchange.receivers
                free = leaves + travel
                arrivals.append(free + link.latency * exchange.receivers)
                now += exchange.meanwhile
                if exchange.fresh or not displaced:
                    now = max(now, arrivals[-1])
                elif arrived:
                    now = max(now, arrived[number] - length)
            arrived, length = arrivals, now + self.after
        return length

    def image_seconds(self, link: Link, evaluations: int, warm_up: int | None) -> float:
        """Of so many evaluations, the first and `warm_up` more of them fresh; None: all."""
        fresh = evaluations if warm_up is None else min(evaluations, 1 + warm_up)
        return fresh * self.seconds(link, displaced=False) + (evaluations - fresh) * self.seconds(
            link, displaced=True
        )


Noted = tuple[float, float, int, int, bool]
"""The fields of Exchanged."""


class LoneBand(HeldBands):
    """An exchange of one band without any others, which notes what it is asked for."""

    def __init__(self, count: int, held: int, clock: Callable[[], float] = time.perf_counter):
        super().__init__(count, range(held, held + 1))
        self.clock, self.last = clock, 0.0
        self.noted: list[Noted] = []

    def start(self) -> None:
        """An evaluation begins now."""
        self.noted, self.last = [], self.clock()

    def rows(self, key: object, x: Tensor) -> Callable[[], Rows]:
        """See Exchange; the neighbours' rows are zero."""
        offered = self.clock()

        def wait() -> Rows:
            now = self.clock()
            row = torch.zeros_like(x[:, :, :1])
            self._note(offered, now, row.nbytes, 1)
            above = None if 0 in self.held else row
            return above, None if self.count - 1 in self.held else row

        return wait

    def gather(self, key: object, values: Tensor, dim: int) -> Tensor:
        """See Exchange; the other bands are copies of this one."""
        now = self.clock()
        self._note(now, now, values.nbytes, self.count - 1)
        return torch.cat([values] * self.count, dim)

    def join(self, x: Tensor) -> Tensor:
        """See Exchange; the other bands are copies of this one."""
        now = self.clock()
        self._note(now, now, x.nbytes, self.count - 1, fresh=True)
        return torch.cat([x] * self.count, 2)

    def _note(
        self, offered: float, waits: float, size: int, receivers: int, fresh: bool = False
    ) -> None:
        self.noted.append((offered - self.last, waits - offered, size, receivers, fresh))
        self.last = self.clock()


def measure_band(
    denoiser: Denoiser,
    count: int,
    x: Tensor,
    sigma: Tensor,
    labels: Tensor | None = None,
    *,
    repeats: int = 7,
) -> BandCost:
    """Times of one band of `count` on this machine, the median over repeats.

    It is a band between two others where there is one. Weights should be prepared, as samplers do
    (models/layers/prepared_weights.py). Raises ValueError where the images cannot be cut so.
    """
    where = x.device

    def clock() -> float:
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        return time.perf_counter()

    exchange = LoneBand(count, min(1, count - 1), clock)
    bands = BandedDenoiser(denoiser, exchange)
    runs, after = [], []
    with torch.no_grad():
        bands(x, sigma, labels)
        for _ in range(repeats):
            exchange.start()
            bands(x, sigma, labels)
            after.append(clock() - exchange.last)
            runs.append(exchange.noted)
    return BandCost(count, _medians(runs), statistics.median(after))


def _medians(runs: Sequence[Sequence[Noted]]) -> tuple[Exchanged, ...]:
    return tuple(
        Exchanged(
            statistics.median(one[0] for one in same),
            statistics.median(one[1] for one in same),
            *same[0][2:],
        )
        for same in zip(*runs, strict=True)
    )
