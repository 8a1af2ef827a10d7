"""Bands of two processes on one machine, with a slower link than the machine's own between them."""

import time
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from models.bands.group import GroupBands, Travelling
from sampling.band_cost import Link

STAMPS = 1 << 26
"""Added to the tags of messages that tell when another one arrives."""


class Delayed(Travelling):
    """Values that may be used only from a time on that their sender tells."""

    def __init__(self, inner: Travelling, handles: list[Any], arrives: Tensor, own: Tensor):
        super().__init__(inner.handles, inner.received, inner.sent)
        self.stamped, self.arrives, self.own = handles, arrives, own

    def take(self) -> list[Tensor | None]:
        received = super().take()
        for handle in self.stamped:
            handle.wait()
        self.stamped = []
        remaining = float(self.arrives) - time.monotonic()  # one clock for all processes
        if remaining > 0:
            time.sleep(remaining)
        return received


class SlowLink(GroupBands):
    """An exchange of two processes whose messages arrive no sooner than over `link`.

    A message leaves when those before it have left.
    """

    def __init__(self, link: Link, channel: int = 0):
        super().__init__(None, channel)
        assert self.count == 2, "the link lies between two processes"
        self.link, self.free, self.number = link, 0.0, 0

    def _send_rows(self, key: object, x: Tensor) -> Travelling:
        return self._delayed(super()._send_rows(key, x), x[:, :, :1].nbytes)

    def _gathering(self, parts: list[Tensor], own: Tensor) -> Travelling:
        return self._delayed(super()._gathering(parts, own), own.nbytes)

    def _delayed(self, inner: Travelling, size: int) -> Travelling:
        self.free = max(time.monotonic(), self.free) + size / self.link.bandwidth
        own = torch.tensor([self.free + self.link.latency], dtype=torch.float64)
        arrives, other = torch.zeros_like(own), self.ranks[1 - self.rank]
        self.number += 1
        tag = STAMPS + self.number % (1 << 20)
        handles = [dist.irecv(arrives, other, tag=tag), dist.isend(own, other, tag=tag)]
        return Delayed(inner, handles, arrives, own)
