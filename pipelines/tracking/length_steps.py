"""EMA lengths as steps of MLflow, which are whole numbers."""

from collections.abc import Iterable

SCALES = tuple(10**digits for digits in range(3, 16))
"""Larger steps are no longer exact in MLflow's pages."""


def length_scale(lengths: Iterable[float]) -> int:
    """1,000, or the next power of ten by which the steps of all lengths differ and are above 0."""
    lengths = set(lengths)
    for scale in SCALES:
        if len({0, *(length_step(length, scale) for length in lengths)}) == len(lengths) + 1:
            return scale
    return SCALES[-1]


def length_step(length: float, scale: int) -> int:
    """The step of one length."""
    return round(scale * length)
