"""Which bands of an image a process holds, and what it finds in them without its neighbours."""

import torch
import torch.nn.functional as F
from torch import Tensor


class HeldBands:
    """The part of an exchange (models/layers/exchange.py) that needs no other process.

    Args:
        count: bands of an image. Raises ValueError below 1.
        held: the bands that this process holds, in the order of their rows.
    """

    def __init__(self, count: int, held: range):
        if count < 1:
            raise ValueError(f"{count} bands: an image has at least one")
        self.count, self.held = count, held
        self.fresh = self.keep = True
        self.sent_bytes = 0
        """What this process's bands have offered to other bands, `join` aside."""

    def begin(self, fresh: bool, keep: bool = True) -> None:
        """See Exchange."""
        self.fresh, self.keep = fresh, keep

    def cut(self, x: Tensor) -> Tensor:
        """See Exchange. Raises ValueError where the rows cannot be cut evenly."""
        height, left = divmod(x.shape[2], self.count)
        if left:
            raise ValueError(
                f"{x.shape[2]} rows cannot be cut into {self.count} equal bands: choose a number "
                "of bands that divides them"
            )
        wide = F.pad(x, (0, 0, 1, 1))
        return torch.cat([wide[:, :, band * height :][:, :, : height + 2] for band in self.held])

    def inside(self, x: Tensor) -> Tensor:
        """See Exchange."""
        batch = len(x) // len(self.held)
        x = x.clone()
        if 0 in self.held:
            x[:batch, :, 0] = 0
        if self.count - 1 in self.held:
            x[-batch:, :, -1] = 0
        return x

    def each(self, values: Tensor) -> Tensor:
        """See Exchange."""
        return values.repeat(len(self.held), *[1] * (values.ndim - 1))

    def starts(self, held: int, tokens: int) -> list[int]:
        """See Exchange."""
        batch = held // len(self.held)
        return [band * tokens for band in self.held for _ in range(batch)]
