"""Adds the structure game to a method: the game's gradient is added to the method's own."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser
from models.power_ema import sigma_rel_to_gamma
from sampling.config import SamplerConfig
from training.averaged_weights import averaged, ema_denoiser
from training.events import GateChanged, Report, silent
from training.method import Extra, Measurement, Method
from training.players import Player, under
from training.run_settings import RunSettings
from training.structure.adaptive_weight import compared_parameters, joined
from training.structure.game import StructureGame


class WithStructureGame:
    """A method whose deployed player, a denoiser, also plays the structure game.

    After the warm-up the game is played at every `structure.every`-th step. The gate reads what the
    method measures on held-out images.
    """

    def __init__(
        self,
        method: Method,
        settings: RunSettings,
        dataset: ImageDataset,
        world: World,
        tell: Report = silent,
    ):
        self.method, self.settings, self.dataset, self.tell = method, settings, dataset, tell
        self.players, self.deployed = method.players, method.deployed
        self.plays = 0
        structure, train = settings.structure, settings.train
        denoiser = self.player.network
        assert isinstance(denoiser, Denoiser), "the structure game trains a denoiser"
        with torch.random.fork_rng(devices=[]):
            self.game = StructureGame(
                structure,
                denoiser,
                batch_size=structure.batch_size or train.batch_size,
                sampler=structure.sampler,
                world=world,
                seed=settings.seed,
                autocast=torch.bfloat16 if train.precision == "bf16" else None,
                grid_cache=Path(settings.grid_cache) if settings.grid_cache else None,
            )

    @property
    def player(self) -> Player:
        """The player that plays the game."""
        return self.players[self.deployed]

    def turns(self, step: int) -> Sequence[str]:
        return self.method.turns(step)

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        return self.method.accumulate(turn, slots)

    def extra(self, turn: str, slots: range) -> Extra:
        """If a play is due: this worker's share of lambda times the adversarial gradient."""
        own = self.method.extra(turn, slots)
        if turn != self.deployed:
            return own
        played = self._play(slots)
        return Extra(_sum(own.gradients, played.gradients), own.metrics | played.metrics)

    def _play(self, slots: range) -> Extra:
        game, settings, nimg = self.game, self.settings, slots.start
        if game.opened_at is None and game.needs_opening(nimg):
            # The gate compares later losses with those from before the first play.
            self._observe(self.method.measure(nimg), nimg)
        before = game.gate.reason
        if game.needs_opening(nimg):
            game.open(nimg, ema_denoiser(self.player, settings.ema.tracked[0]), self.dataset)
            self._tell_gate(before, nimg)
            before = game.gate.reason
        if not game.due(nimg // len(slots)):
            return Extra()
        denoiser: Any = self.player.network
        at_output = joined([p.grad for p in compared_parameters(denoiser)])
        assert at_output is not None, "the method's own gradient comes first"
        batch = game.draw(self.dataset, nimg, flip=settings.train.horizontal_flip)
        # A sampler adds the adapter to averaged weights, so the game does too: the weights in
        # training scatter around their averages.
        length = settings.ema.tracked[-1]
        as_sampled = averaged(self.player, length) if game.adapted else nullcontext()
        with as_sampled:
            gradients, metrics = game.play(denoiser, batch, settings.micro_batch, at_output)
        self._tell_gate(before, nimg)
        self.plays += 1
        return Extra(gradients, metrics)

    def measure(self, nimg: int) -> Measurement:
        """The method's own measurement, which is passed to the gate too."""
        before = self.game.gate.reason
        found = self.method.measure(nimg)
        self._observe(found, nimg)
        self._tell_gate(before, nimg)
        return found

    def _observe(self, found: Measurement, nimg: int) -> None:
        # The mean age of the weights in a power-function average is nimg / (gamma + 2) images; the
        # average counts as having forgotten what is twice as old.
        memory = 2 * nimg / (sigma_rel_to_gamma(self.settings.ema.tracked[0]) + 2)
        self.game.observe_held_out(found.held_out, found.train, nimg, memory)

    def _tell_gate(self, before: str, nimg: int) -> None:
        """Send an event if the reason why the gate is shut ("" while it is open) has changed."""
        gate = self.game.gate
        if gate.reason != before:
            self.tell(GateChanged(nimg, gate.open, gate.reason, gate.explanation))

    def preview(self) -> SamplerConfig | None:
        return self.method.preview()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The game's tensors as "game.NAME", the method's own as "method.NAME"."""
        tensors, plain = self.method.state()
        of_game, meta = self.game.state_dict()
        named = {f"method.{n}": t for n, t in tensors.items()}
        named |= {f"game.{n}": t for n, t in of_game.items()}
        return named, {"method": plain, "game": meta, "plays": self.plays}

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        self.method.restore(under("method.", tensors), plain["method"])
        self.game.load_state_dict(under("game.", tensors), plain["game"])
        self.plays = plain["plays"]

    def summary(self) -> dict[str, Any]:
        """The method's own summary, and the kind, plays and gate of the game."""
        return self.method.summary() | {
            "structure_kind": self.settings.structure.kind,
            "structure_plays": self.plays,
            "gate": self.game.gate.summary(),
        }


def _sum(
    one: list[Tensor | None] | None, other: list[Tensor | None] | None
) -> list[Tensor | None] | None:
    """Sum entry by entry; None counts as 0."""
    if one is None or other is None:
        return other if one is None else one
    return [b if a is None else a if b is None else a + b for a, b in zip(one, other, strict=True)]
