"""What every kind of guidance says in params: its settings, and a statement of what it needs."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from foundation.settings_base import Settings
from sampling.guidance.base import Guided, LabelledDenoiser


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a kind of guidance needs beside the denoiser that it wraps."""

    network: bool = False
    """A guiding denoiser, from the entry's `guiding_weights` or `guiding_length`."""
    classifier: bool = False
    """A log-probability of the labels, such as that of a classifier of pictures."""
    labels: bool = False
    """A label for every image, so a denoiser that knows labels."""
    guidance_inside: bool = False
    """An entry before it, which it limits."""
    whole_batches: bool = False
    """All images of a batch at once: its images depend on one another, and no batch may be cut."""

    @property
    def helper(self) -> str | None:
        """The second network that must be at hand, in words; None where the denoiser is enough."""
        if self.network:
            return "a guiding denoiser"
        return "a log_prob function" if self.classifier else None


class GuidanceConfig(Settings):
    """Settings of one guidance wrapper; a later entry of the list wraps the earlier ones.

    A kind of guidance is a class derived from this one, with a `kind: Literal[...]` of its own, and
    one entry in sampling/guidance/table.py.
    """

    needs: ClassVar[Needs] = Needs()

    kind: str
    """Which guidance this is."""

    @property
    def guiding_weights(self) -> str | None:
        """The file of the guiding denoiser, None where the entry names none."""
        return None

    @property
    def guiding_length(self) -> float | None:
        """The EMA length of the guiding denoiser, None where the entry names none."""
        return None

    def with_guiding_weights(self, path: str) -> Self:
        """The same entry, guided by the denoiser of this file."""
        raise NotImplementedError(f"guidance {self.kind} names no weights")

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """The guided denoiser. helper: what `needs.helper` asks for.

        Raises ValueError where the two do not fit.
        """
        raise NotImplementedError

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """Network evaluations of one call of the guided denoiser at noise level sigma.

        inside: those of one call of the denoiser that it wraps; unguided: those of one call of
        that denoiser's own `unguided` (both 1 where it is the network itself).
        """
        raise NotImplementedError
