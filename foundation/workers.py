"""The group of workers that share one global batch; alone, every exchange is free."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """One worker among `size` workers, and its exchanges with them.

    Every collective must be called by all ranks in the same order. Alone (size 1) none of them
    touches torch.distributed.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @classmethod
    def current(cls, device: torch.device | str | None = None) -> "World":
        """The world of torch.distributed if it is initialised, else a single worker.

        Without `device`: this worker's CUDA device under NCCL, the CPU under gloo, and alone the
        first CUDA device where there is one.
        """
        grouped = dist.is_available() and dist.is_initialized()
        if device is None:
            on_gpu = dist.get_backend() == "nccl" if grouped else torch.cuda.is_available()
            # Ray Train and torchrun both number the workers of a machine in LOCAL_RANK.
            local = int(os.environ.get("LOCAL_RANK", "0")) if grouped else 0
            device = f"cuda:{local % torch.cuda.device_count()}" if on_gpu else "cpu"
        if not grouped:
            return cls(device=torch.device(device))
        return cls(dist.get_rank(), dist.get_world_size(), torch.device(device))

    def share(self, count: int) -> slice:
        """This rank's contiguous part of `count` global items.

        Raises ValueError if the items do not divide evenly.
        """
        if count % self.size:
            low = count // self.size * self.size
            mend = f"use {low} or {low + self.size}" if low else f"use {self.size}"
            raise ValueError(
                f"a global batch of {count} is not a multiple of {self.size} workers: {mend}"
            )
        local = count // self.size
        return slice(self.rank * local, (self.rank + 1) * local)

    def all_reduce_sum_(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in place; returns the tensor."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def broadcast_(self, tensor: Tensor, source: int = 0) -> Tensor:
        """Copy rank `source`'s values to all ranks, in place; returns the tensor."""
        if self.size > 1:
            dist.broadcast(tensor, source)
        return tensor

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            # An all-reduce instead of dist.barrier, which under NCCL has to guess the device.
            dist.all_reduce(torch.zeros(1, device=self.device))

    def all_gather(self, tensor: Tensor) -> Tensor:
        """[n, ...] on each rank -> [size * n, ...] in rank order, without gradient."""
        tensor = tensor.detach().contiguous()
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor)
        return torch.cat(parts)

    def all_reduce_flat_(self, tensors: Iterable[Tensor]) -> None:
        """Sum each tensor over ranks, in place, in one exchange for each dtype.

        Every rank passes tensors of the same shapes in the same order.
        """
        if self.size == 1:
            return
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_dtype.setdefault(tensor.dtype, []).append(tensor)
        for group in by_dtype.values():
            total = self.all_reduce_sum_(torch.cat([t.reshape(-1) for t in group]))
            for tensor, part in zip(group, total.split([t.numel() for t in group]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def all_reduce_gradients(
        self, parameters: Iterable[nn.Parameter], others: Iterable[Tensor] = ()
    ) -> None:
        """Sum `.grad`, and other tensors, over ranks, in place, in one exchange for each dtype.

        A parameter without gradient on this rank counts as zero, and has one afterwards.
        """
        if self.size == 1:
            return
        gradients = []
        for parameter in parameters:
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        self.all_reduce_flat_([*gradients, *others])
