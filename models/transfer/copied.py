"""What a denoiser took over from stored weights, and how that is told."""

from dataclasses import dataclass

from torch import Tensor

from foundation.counted import counted
from foundation.few_names import few

SHOWN = 4
"""Names of each sort that the line lists."""


@dataclass(frozen=True)
class Taken:
    """One tensor of a denoiser with what it takes over."""

    tensor: Tensor
    numbers: int
    """How many of its numbers were stored."""
    whole: bool = False
    """Whether it is the stored tensor as it stands."""


@dataclass(frozen=True)
class Copied:
    """Names of a denoiser's tensors by what was made of them, and those that were left."""

    path: str
    whole: tuple[str, ...]
    part: tuple[str, ...]
    """Of another shape in the file: the numbers that both have were copied."""
    fresh: tuple[str, ...]
    """Kept fresh values."""
    left: tuple[str, ...]
    """In the file, by their names there, and without a place here."""
    numbers: int
    """Numbers of the denoiser's parameters that were stored."""
    parameters: int
    """Numbers of all of them."""

    def told(self) -> str:
        """One line for the log of a training."""
        share = f"{self.numbers / max(self.parameters, 1):.1%} of {self.parameters:,} parameters"
        sorts = (
            ("in part", self.part),
            ("new", self.fresh),
            ("without a place here", self.left),
        )
        rest = "".join(f"; {sort}: {few(names, SHOWN)}" for sort, names in sorts if names)
        return (
            f"train.init_from: {counted(len(self.whole), 'tensor')} of {self.path} copied whole "
            f"and {len(self.part):,} in part, {share}{rest}"
        )
