"""What every guidance shares: a denoiser round a denoiser, with the same contract."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sampling.solvers.step import Denoise

if TYPE_CHECKING:
    from torch import Tensor

LogProb = Callable[["Tensor", "Tensor", "Tensor | None"], "Tensor"]
"""log_prob(x [B, C, H, W], sigma [B], labels [B] or None) -> [B], differentiable in x."""


class LabelledDenoiser(Protocol):
    """What guidance wraps and what it gives: the contract of models/denoiser.py."""

    @property
    def sigma_data(self) -> float: ...
    @property
    def image_shape(self) -> tuple[int, ...]: ...
    @property
    def num_classes(self) -> int: ...

    def __call__(
        self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None
    ) -> "Tensor": ...


Guide = LabelledDenoiser | LogProb | Mapping[str, Any] | Sequence[Any] | None
"""What guidance needs beside the denoiser: one thing for all entries, a mapping from kind to it, or
a sequence with one for each entry (None where it needs nothing)."""


class Guided:
    """A denoiser round `denoiser`, which stays reachable as `.denoiser`.

    It has no weights of its own, and is no nn.Module, so that reading a sampler's settings does
    not import torch; `sampling.generate.networks_of` finds the networks in its attributes.
    """

    def __init__(self, denoiser: LabelledDenoiser) -> None:
        self.denoiser = denoiser
        self.sigma_data = denoiser.sigma_data
        self.image_shape = denoiser.image_shape
        self.num_classes = denoiser.num_classes

    def __call__(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        return self.forward(x, sigma, labels)

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]."""
        raise NotImplementedError

    def unguided(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W] as `forward` gives it, with this guidance left out and nothing else."""
        return self.denoiser(x, sigma, labels)


def bind_labels(denoiser: LabelledDenoiser, labels: "Tensor | None") -> Denoise:
    """The denoiser as `solve` wants it, denoise(x, sigma), with the batch's labels filled in."""

    def denoise(x: "Tensor", sigma: "Tensor") -> "Tensor":
        return denoiser(x, sigma, labels)

    return denoise
