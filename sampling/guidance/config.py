"""Base class of the settings of all guidance kinds, and the statement of what a kind needs."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from foundation.bounds import AtMost
from foundation.settings_base import Settings
from sampling.guidance.base import Guided, LabelledDenoiser

GuidanceWeight = Annotated[float, Field(ge=0), AtMost(1000, "images saturate from about 10 on")]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a kind of guidance needs beside the denoiser that it wraps."""

    network: bool = False
    """It needs a guiding denoiser, from the entry's `guiding_weights` or `guiding_length`."""
    classifier: bool = False
    """It needs a log-probability of the labels, such as that of a picture classifier."""
    attribute: bool = False
    """It needs the predictor of an attribute, from the entry's `guiding_weights`."""
    labels: bool = False
    """It needs a label for every image, so a denoiser that knows labels."""
    guidance_inside: bool = False
    """It limits another guidance, so it needs an entry before it."""
    plain_denoiser: bool = False
    """It reaches into the network, so it comes first in the list and takes no adapter."""
    whole_batches: bool = False
    """It makes the images of a batch depend on one another, so no batch may be cut."""

    @property
    def helper(self) -> str | None:
        """Name of what must be passed beside the denoiser, for messages; None if nothing must."""
        if self.network:
            return "a guiding denoiser"
        if self.attribute:
            return "an attribute predictor"
        return "a log_prob function" if self.classifier else None


class GuidanceConfig(Settings):
    """Settings of one entry of a sampler's guidance.

    A kind of guidance is a class derived from this one, with a `kind: Literal[...]` of its own, and
    one entry in sampling/guidance/table.py.
    """

    needs: ClassVar[Needs] = Needs()

    kind: str
    """Name of the guidance."""

    @property
    def guiding_weights(self) -> str | None:
        """The file of the guiding denoiser, or of the predictor; None if the entry names none."""
        return None

    @property
    def guiding_length(self) -> float | None:
        """The EMA length of the guiding denoiser; None if the entry names none."""
        return None

    @property
    def guiding_attribute(self) -> str | None:
        """Name of the attribute in params whose predictor guides; None if the entry names none."""
        return None

    @property
    def group_size(self) -> int:
        """Images, in the order of their numbers, that depend on one another; 1: none do."""
        return 1

    def with_guiding_weights(self, path: str) -> Self:
        """The same entry, guided by the weights of this file."""
        raise NotImplementedError(f"guidance {self.kind} names no weights")

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """The guided denoiser. helper: what `needs.helper` names, else None.

        Raises ValueError if denoiser and helper do not fit.
        """
        raise NotImplementedError

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """Network evaluations of one call of the guided denoiser at noise level sigma.

        inside: network evaluations of one call of the denoiser that it wraps. unguided: those of
        one call of that denoiser's method `unguided`. Both are 1 if it is a plain network.
        """
        raise NotImplementedError
