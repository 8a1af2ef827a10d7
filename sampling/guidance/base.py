"""What all guidance shares: the types, and the base class of a guided denoiser."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sampling.solvers.bound import BoundDenoiser, Told

if TYPE_CHECKING:
    from torch import Tensor

LogProb = Callable[["Tensor", "Tensor", "Tensor | None"], "Tensor"]
"""log_prob(x [B, C, H, W], sigma [B], labels [B] or None) -> [B], differentiable in x."""


class LabelledDenoiser(Protocol):
    """A denoiser as guidance takes and returns it: the contract of models/denoiser.py."""

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
"""The network or function that guidance needs beside the denoiser: one for all entries, a mapping
from kind to it, or a sequence with one for each entry (None where the entry needs none)."""


class Guided:
    """Base of guided denoisers: itself a denoiser, it wraps another, kept as `.denoiser`.

    It is no nn.Module, for it has no weights of its own and a sampler's settings are read without
    torch; `sampling.drawing.networks.networks_of` finds the networks behind it.
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
        """x0 [B, C, H, W] without this guidance, but with the guidance that it wraps."""
        return self.denoiser(x, sigma, labels)


def bind_labels(
    denoiser: LabelledDenoiser, labels: "Tensor | None", told: Told | None = None
) -> BoundDenoiser:
    """A function denoise(x, sigma) for `solve` that calls the denoiser with these labels.

    told: called after each evaluation.
    """
    return BoundDenoiser(denoiser, labels, told)
