"""What the training loop asks of a method of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from sampling.config import SamplerConfig
from training.players import Player


@dataclass(frozen=True)
class Extra:
    """A gradient on top of a player's own, and what to log of it."""

    gradients: list[Tensor | None] | None = None
    """This worker's share, for each of the network's parameters; None: nothing at this step."""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """What a method is worth on images that it was not trained on."""

    values: dict[str, float]
    """For the curves."""
    held_out: Sequence[float] = ()
    """Denoising loss on held-out images per noise-level bin, where the method measures it."""
    train: Sequence[float] = ()
    """The same on as many training images."""


class Method(Protocol):
    """A way to train: it owns its players and knows the gradients that move them.

    The loop counts images, sums over workers, checks, steps, averages, logs and saves; a method
    says whose turn it is, and fills `.grad`. Everything random about image slot s must be a
    function of (seed, s) alone (dataset/slots.py), so that results do not depend on how a batch is
    split. Every worker calls every function of a method at the same time.
    """

    players: dict[str, Player]
    """By name. Checkpoints and snapshots keep them by these names."""
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
        """A further gradient that needs the player's own: `.grad` is summed over workers by now."""
        ...

    def measure(self, nimg: int) -> Measurement:
        """The state of affairs on held-out images after `nimg` images; the same on every worker."""
        ...

    def preview(self) -> SamplerConfig | None:
        """The sampler that shows how the deployed player is doing; None: no pictures."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON-able values, beside the players', that later steps depend on."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        ...

    def summary(self) -> dict[str, Any]:
        """What train.json tells of the method at the end."""
        ...
