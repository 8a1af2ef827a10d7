"""All bands of an image in one process, along the batch: the same numbers without workers."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from models.bands.held import HeldBands
from models.layers.exchange import Rows


class StackedBands(HeldBands):
    """An exchange (models/layers/exchange.py) of one process that holds all `count` bands.

    It gives what so many workers give, so a displaced sampler can be judged on one machine.
    """

    def __init__(self, count: int):
        super().__init__(count, range(count))
        self._before: dict[object, Rows | Tensor] = {}

    def rows(self, key: object, x: Tensor) -> Callable[[], Rows]:
        """See Exchange."""
        if self.count == 1:
            return lambda: (None, None)
        batch = len(x) // self.count
        first, last = x[:, :, :1], x[:, :, -1:]
        self.sent_bytes += first[batch:].nbytes + last[batch:].nbytes
        none = torch.zeros_like(first[:batch])
        now = torch.cat([none, last[:-batch]]), torch.cat([first[batch:], none])
        used = now if self.fresh else cast(Rows, self._before[key])
        if self.keep:
            self._before[key] = now
        return lambda: used

    def gather(self, key: object, values: Tensor, dim: int) -> Tensor:
        """See Exchange."""
        dim %= values.ndim
        parts = values.chunk(self.count)
        self.sent_bytes += values.nbytes * (self.count - 1)
        now = torch.cat(parts, dim)  # [B, ...]
        used = now if self.fresh else cast(Tensor, self._before[key])
        if self.keep:
            self._before[key] = now
        if self.fresh:
            return self.each(now)
        before = used.split(values.shape[dim], dim)
        return torch.cat(
            [
                torch.cat([*before[:band], own, *before[band + 1 :]], dim)
                for band, own in enumerate(parts)
            ]
        )

    def join(self, x: Tensor) -> Tensor:
        """See Exchange."""
        return torch.cat(x.chunk(self.count), 2)
