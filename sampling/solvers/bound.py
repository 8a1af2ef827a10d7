"""A denoiser with the labels of a batch filled in, which can be asked about some of its images."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from sampling.solvers.step import Denoise

Told = Callable[["Tensor | None", "Tensor"], None]
"""told(rows, sigma [n]): these images of the batch (None: all) were evaluated at these levels."""


class BoundDenoiser:
    """denoise(x [B, C, H, W], sigma [B]) for `solve`, of a denoiser that takes labels.

    Args:
        denoiser: denoiser(x, sigma, labels) -> x0.
        labels: int64 [B] of the whole batch, or None.
        told: called after each evaluation.
    """

    def __init__(
        self,
        denoiser: "Callable[[Tensor, Tensor, Tensor | None], Tensor]",
        labels: "Tensor | None",
        told: Told | None = None,
    ):
        self.denoiser, self.labels, self.told = denoiser, labels, told

    def __call__(self, x: "Tensor", sigma: "Tensor") -> "Tensor":
        return self._ask(x, sigma, None)

    def of_rows(self, rows: "Tensor") -> "Denoise":
        """denoise(x [n, C, H, W], sigma [n]) of these images alone; rows: int64 [n]."""
        return partial(self._ask, rows=rows)

    def _ask(self, x: "Tensor", sigma: "Tensor", rows: "Tensor | None") -> "Tensor":
        labels = self.labels if rows is None or self.labels is None else self.labels[rows]
        x0 = self.denoiser(x, sigma, labels)
        if self.told is not None:
            self.told(rows, sigma)
        return x0
