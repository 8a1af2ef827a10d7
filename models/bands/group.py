"""One band of an image in each process of a torch.distributed group: gloo on CPUs, NCCL on GPUs."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from models.bands.held import HeldBands
from models.layers.exchange import Rows


class Travelling:
    """Values on their way between processes; they and their handles live until they are taken."""

    def __init__(self, handles: list[Any], received: list[Tensor | None], sent: list[Tensor]):
        self.handles, self.received, self.sent = handles, received, sent

    def take(self) -> list[Tensor | None]:
        """What arrived, once all has arrived and all own values are away."""
        for handle in self.handles:
            handle.wait()
        self.handles, self.sent = [], []
        return self.received


class GroupBands(HeldBands):
    """An exchange (models/layers/exchange.py) between processes, of which rank r holds band r.

    All ranks evaluate the same images at the same time, in the same order. Where an evaluation is
    not fresh, its values are sent as it goes on and are waited for in the next one.

    Args:
        group: of torch.distributed; None: all processes.
        channel: apart from that of every other exchange of the same group.
    """

    def __init__(self, group: dist.ProcessGroup | None = None, channel: int = 0):
        self.group: Any = group or dist.group.WORLD
        self.channel, self.odd = channel, False
        self.rank, size = dist.get_rank(self.group), dist.get_world_size(self.group)
        super().__init__(size, range(self.rank, self.rank + 1))
        self.ranks = dist.get_process_group_ranks(self.group)
        # NCCL runs the messages of a pair one after the other, so both directions go at once.
        self.both_ways_at_once = dist.get_backend(self.group) == "nccl"
        self._on_the_way: dict[object, Travelling] = {}
        self._tags: dict[object, int] = {}

    def begin(self, fresh: bool, keep: bool = True) -> None:
        """See Exchange."""
        super().begin(fresh, keep)
        self.odd = not self.odd

    def rows(self, key: object, x: Tensor) -> Callable[[], Rows]:
        """See Exchange."""
        if self.count == 1:
            return lambda: (None, None)
        now = self._send_rows(key, x)
        used = self._used(key, now)

        def wait() -> Rows:
            above, below = used.take()
            return above, below

        return wait

    def gather(self, key: object, values: Tensor, dim: int) -> Tensor:
        """See Exchange."""
        if self.count == 1:
            return values
        own = values.contiguous()
        parts = [torch.empty_like(own) for _ in range(self.count)]
        self.sent_bytes += own.nbytes * (self.count - 1)
        now = self._gathering(parts, own)
        arrived: list[Any] = list(self._used(key, now).take())
        arrived[self.rank] = own
        return torch.cat(arrived, dim)

    def join(self, x: Tensor) -> Tensor:
        """See Exchange."""
        if self.count == 1:
            return x
        own = x.contiguous()
        parts = [torch.empty_like(own) for _ in range(self.count)]
        arrived: list[Any] = self._gathering(parts, own).take()
        return torch.cat(arrived, 2)

    def close(self) -> None:
        """Wait for what is still on its way; the group may be destroyed afterwards."""
        for travelling in self._on_the_way.values():
            travelling.take()
        self._on_the_way.clear()

    def _used(self, key: object, now: Travelling) -> Travelling:
        """What this evaluation uses; `now` is kept for the next one."""
        before = self._on_the_way.pop(key, None)
        if self.keep:
            self._on_the_way[key] = now
        if self.fresh:
            if before is not None:
                before.take()
            return now
        assert before is not None, "the first evaluation of a trajectory is fresh"
        return before

    def _send_rows(self, key: object, x: Tensor) -> Travelling:
        # Two evaluations' rows may be on their way at a time, so their tags differ.
        index = self._tags.setdefault(key, len(self._tags))
        tag = ((self.channel << 12 | index) << 2) + 2 * self.odd
        received: list[Tensor | None] = [None, None]
        sent, messages = [], []
        for side, other in enumerate((self.rank - 1, self.rank + 1)):
            if not 0 <= other < self.count:
                continue
            own = (x[:, :, :1] if side == 0 else x[:, :, -1:]).clone()
            received[side] = torch.empty_like(own)
            sent.append(own)
            # A row that goes down arrives as the row above, and the other way round.
            messages.append((received[side], own, other, tag + side, tag + 1 - side))
            self.sent_bytes += own.nbytes
        return Travelling(self._start(messages), received, sent)

    def _start(self, messages: list[tuple[Any, Tensor, int, int, int]]) -> list[Any]:
        """Starts messages (space, own values, other band, tags of the two): receiving first."""
        if self.both_ways_at_once:
            pairs = [
                dist.P2POp(operation, tensor, self.ranks[other], self.group)
                for space, own, other, _, _ in messages
                for operation, tensor in ((dist.irecv, space), (dist.isend, own))
            ]
            return dist.batch_isend_irecv(pairs)
        # The group's own methods, for dist.irecv and isend take longer than small messages do.
        receiving = [self.group.recv([m[0]], m[2], m[3]) for m in messages]
        return receiving + [self.group.send([m[1]], m[2], m[4]) for m in messages]

    def _gathering(self, parts: list[Tensor], own: Tensor) -> Travelling:
        handle = dist.all_gather(parts, own, self.group, async_op=True)
        return Travelling([handle], list(parts), [own])
