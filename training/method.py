"""The protocol between the training loop and a method of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from sampling.config import SamplerConfig
from training.events import Report
from training.players import Player


@dataclass(frozen=True)
class Extra:
    """A gradient that is added to a player's own, and metrics to log."""

    gradients: list[Tensor | None] | None = None
    """This worker's share for each of the network's parameters; None: none at this step."""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """Losses on images that the method was not trained on."""

    values: dict[str, float]
    """Values for the curves, by name."""
    held_out: Sequence[float] = ()
    """Denoising loss on held-out images per noise-level bin; empty if it is not measured."""
    train: Sequence[float] = ()
    """The same on as many training images."""


NO_GAME: dict[str, Any] = {"structure_kind": "none", "structure_plays": 0, "gate": {}}
"""What a training without a structure game says of it in its summary."""


class Method(Protocol):
    """A way to train: it owns its players and knows the gradients that move them.

    The loop counts images, sums over workers, checks, steps, averages, logs and saves. A method
    says which players move at a step, and fills `.grad`. Everything random about image slot s must
    be a function of (seed, s) alone (dataset/slots.py), so that results do not depend on how a
    batch is split. Every worker calls every function of a method at the same time.
    """

    players: dict[str, Player]
    """The networks in training by name; checkpoints and snapshots use these names."""
    deployed: str
    """The player whose averages the later stages use."""

    def turns(self, step: int) -> Sequence[str]:
        """Names of the players that move at optimiser step number `step`, in order."""
        ...

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        """Gradient of a player's loss over this worker's share of a global batch.

        Adds to `.grad` the gradient of (sum over this worker's images) / len(slots), in
        micro-batches. Returns sums over this worker's images by name, each float64 []; the loop
        logs their means over the global batch, and skips the step where one is not finite.

        Args:
            slots: the image slots of the global batch.
        """
        ...

    def extra(self, turn: str, slots: range) -> Extra:
        """A further gradient, computed after the player's own has been summed over workers."""
        ...

    def measure(self, nimg: int) -> Measurement:
        """Losses on held-out images after `nimg` images; the same on every worker."""
        ...

    def preview(self) -> SamplerConfig | None:
        """The sampler for pictures of the deployed player during training; None: no pictures."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON-able values, besides those of players, that later steps depend on."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Set what `state` returned."""
        ...

    def summary(self) -> dict[str, Any]:
        """The method's entries in train.json at the end."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A method with events of its own, which it sends to `tell`; the loop's builder sets it."""

    tell: Report


@runtime_checkable
class Remarking(Protocol):
    """A method that has lines to tell before it trains; the loop's builder tells them."""

    remarks: Sequence[str]
