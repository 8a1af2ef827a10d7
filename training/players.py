"""A player: one network in training with its optimiser, learning rates, clipping and averages."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers.magnitude_preserving import MPConv, MPEmbedding
from models.power_ema import PowerEMA

Rate = Callable[[int], float]
"""rate(images seen) -> learning rate."""


@dataclass
class Player:
    """A network, its optimiser, its learning rates over images, its clipping and its averages."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    rates: Mapping[str, Rate]
    """{name in the logs: rate}, one for each parameter group of the optimiser, in order."""
    clip: float
    """Largest norm of a parameter group's gradient; a longer one is scaled down."""
    averages: PowerEMA | None = None
    """None: no average of this network is kept, and no snapshot."""
    adapter: str | None = None
    """Name of the adapter that is all the player trains and saves. The network's other tensors are
    lent by a frozen network, and never change."""
    tuned: frozenset[str] = frozenset()
    """Names of the parameters that are trained and saved, where all others are frozen, and were
    given at the start; empty: all, or the adapter's."""

    @property
    def own_parameters(self) -> list[nn.Parameter]:
        """The optimiser's first parameter group, which the method's own loss moves.

        Further groups, such as an adapter's, are moved by extra gradients alone.
        """
        return self.optimizer.param_groups[0]["params"]

    def set_rates(self, nimg: int) -> dict[str, float]:
        """Set the learning rates of the step that ends at `nimg`; returns them by name."""
        rates = {name: rate(nimg) for name, rate in self.rates.items()}
        for group, rate in zip(self.optimizer.param_groups, rates.values(), strict=True):
            group["lr"] = rate
        return rates

    def clip_gradients(self) -> float:
        """Scale down gradients longer than `clip`; returns the norm of all before that.

        Each group is clipped by itself, so that an adapter's gradient does not shorten the
        denoiser's own step.
        """
        norms = [
            torch.nn.utils.clip_grad_norm_(group["params"], self.clip)
            for group in self.optimizer.param_groups
        ]
        return math.hypot(*map(float, norms))

    def add_gradients(self, gradients: list[Tensor | None]) -> None:
        """Add to `.grad` an entry for each of `network.parameters()`; None adds nothing."""
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            if gradient is not None:
                old = parameter.grad
                parameter.grad = gradient if old is None else old + gradient

    def step(self) -> None:
        """One optimiser step, then forced weight normalisation where the network has it.

        Lent and frozen weights are not normalised.
        """
        self.optimizer.step()
        if self.adapter is not None:
            return
        if self.tuned:
            for name, module in self.network.named_modules():
                if f"{name}.weight" in self.tuned and isinstance(module, MPConv | MPEmbedding):
                    module.normalize_()
            return
        normalize = getattr(self.network, "normalize_weights", None)
        if normalize is not None:
            normalize()

    def average(self, nimg: int, dt: int) -> None:
        """Update the averages after a step that ended at `nimg` and covers `dt` images."""
        if self.averages is not None:
            self.averages.update(nimg, dt)

    def lent(self) -> dict[str, Tensor]:
        """Tensors of the network that are lent or frozen, by name; {} if all are trained."""
        if self.adapter is None and not self.tuned:
            return {}
        own = f".adapters.{self.adapter}."
        return {
            n: t
            for n, t in self.network.state_dict().items()
            if n not in self.tuned and own not in n
        }

    def tensors(self) -> dict[str, Tensor]:
        """Flat name -> tensor: weights but lent ones, the optimiser's moments, the averages."""
        lent = self.lent()
        state = self.network.state_dict()
        out = {f"network.{n}": t for n, t in state.items() if n not in lent}
        for index, moments in self.optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                out[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
        if self.averages is not None:
            for sigma_rel in self.averages.averages:
                for name, value in self.averages.state(sigma_rel).items():
                    out[f"average.{sigma_rel}.{name}"] = value
        return out

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set what `tensors` returned."""
        self.network.load_state_dict(self.lent() | under("network.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under("optimizer.", tensors).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if self.averages is not None:
            for sigma_rel in self.averages.averages:
                self.averages.load_state(sigma_rel, under(f"average.{sigma_rel}.", tensors))


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, by the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
