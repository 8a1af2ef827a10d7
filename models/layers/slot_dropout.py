"""Dropout whose mask of an image does not depend on the batch that the image is in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SlotDropout(nn.Module):
    """Sets a share p of the values to zero and scales the rest by 1 / (1 - p), while training.

    Inside `dropout_keys` the mask of image b depends on its key and on the layer alone, so it stays
    the same however a batch is split; outside, torch's own generator draws the mask.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.keys: Tensor | None = None  # int64 [B]

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] -> the same shape."""
        if not (self.p and self.training):
            return x
        if self.keys is None:
            return F.dropout(x, self.p)
        positions = torch.arange(x[0].numel(), device=x.device)
        bits = _mixed(self.keys[:, None] + positions).view(x.shape)
        kept = (bits & 0xFFFFFF) >= round(self.p * 2**24)
        return torch.where(kept, x / (1 - self.p), 0)


@contextmanager
def dropout_keys(network: nn.Module, keys: Tensor) -> Iterator[None]:
    """Inside, every dropout layer of the network draws its masks by these keys, int64 [B]."""
    layers = [m for m in network.modules() if isinstance(m, SlotDropout) and m.p]
    mixed = _mixed(keys) if layers else keys
    for number, layer in enumerate(layers):
        layer.keys = _mixed(mixed + number)
    try:
        yield
    finally:
        for layer in layers:
            layer.keys = None


def _mixed(value: Tensor) -> Tensor:
    """A bijection of int64 that maps close numbers to unrelated ones (SplitMix64, Steele 2014)."""
    value = (value ^ _shifted(value, 30)) * -0x40A7B892E31B1A47
    value = (value ^ _shifted(value, 27)) * -0x6B2FB644ECCEEE15
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """A logical right shift: zeros come in from the left, where torch's shift repeats the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
