"""Parts of tensors that are put into tensors of other shapes."""

import math

import torch
from torch import Tensor

from models.layers.magnitude_preserving import EPSILON
from models.transfer.copied import Taken

Pair = tuple[Tensor, Tensor]
"""Positions in the own tensor and in the stored one, int64 [n] each."""


def first_numbers(own: Tensor, stored: Tensor) -> Taken:
    """[N] with the first numbers of [M]; a single number is copied."""
    if not own.ndim:
        return Taken(stored, 1, whole=True)
    count = min(len(own), len(stored))
    out = own.clone()
    out[:count] = stored[:count].to(own)
    return Taken(out, count, whole=own.shape == stored.shape)


def block(own: Tensor, stored: Tensor, rows: Pair, columns: Pair, *, silent: bool) -> Taken:
    """The own weight [R, C, ...] with rows and columns of the stored one, kernels by their centres.

    silent: further columns of these rows are 0; otherwise they keep their values.
    """
    copied = unit_rows(stored.to(own)[rows[1]])[:, columns[1]]
    sides = list(zip(own.shape[2:], stored.shape[2:], strict=True))
    ours, theirs = _centres(sides)
    begun = own[rows[0]]
    if silent:
        begun = torch.zeros_like(begun)
    inside = begun[:, columns[0]]
    inside[:, :, *ours] = copied[:, :, *theirs]
    begun[:, columns[0]] = inside
    out = own.clone()
    out[rows[0]] = unit_rows(begun)
    numbers = len(rows[0]) * len(columns[0]) * math.prod(map(min, sides))
    return Taken(out, numbers)


def _centres(sides: list[tuple[int, int]]) -> tuple[list[slice], list[slice]]:
    """Of pairs of sides the part that both have, in the middle of each."""
    both: tuple[list[slice], list[slice]] = ([], [])
    for pair in sides:
        common = min(pair)
        for cuts, side in zip(both, pair, strict=True):
            cuts.append(slice((side - common) // 2, (side + common) // 2))
    return both


def unit_rows(weight: Tensor) -> Tensor:
    """Rows of unit root mean square."""
    rows = weight.flatten(1)
    mean = rows.square().mean(1, keepdim=True).sqrt().clamp_min(EPSILON)
    return (rows / mean).view(weight.shape)
