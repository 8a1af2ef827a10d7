"""Plays the structure game: the denoiser against a discriminator of batch structure."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import GAME, AdaptedDenoiser, adapter_parameters
from sampling.config import SamplerConfig
from training.players import under
from training.structure.adaptive_weight import AdaptiveWeight, weigh
from training.structure.bank import RealBank
from training.structure.config import StructureConfig
from training.structure.fakes import Fakes, GameBatch
from training.structure.features import Psi, make_psi
from training.structure.gate import Gate
from training.structure.opponent import Opponent
from training.structure.real_batches import bank_features, statistics_batches
from training.structure.split_play import accumulate, evaluating, split_rows

__all__ = ["GameBatch", "StructureGame"]

SOFTENING = 0.9
"""Factor on the logits of a discriminator that wins by far, applied at each play."""


class StructureGame:
    """The minimax game of one run; with kind 'none' it is never due and keeps no state.

    The gradient is that of the *global* batch, however it is split. A first pass computes features
    part by part; they are gathered from all workers, and each worker computes the graphs of the
    whole batch. A second pass computes the features again, part by part, and carries dL/dF back
    through the denoiser. If a worker's share fits in one part, one pass is enough.

    Args:
        denoiser: the network in training, not compiled (its copy may serve as Psi).
        batch_size: images per training step over all workers, for structure.batch_size: null.
        sampler: structure.sampler; None: DDIM with 8 steps on EDM's grid.
        autocast: the precision of the denoiser's passes, e.g. torch.bfloat16; None: that of its
            weights.
        grid_cache: folder in which an optimized time grid of the sampler is kept.
    Raises ValueError if the settings do not fit each other or a feature network is missing.
    """

    def __init__(
        self,
        config: StructureConfig,
        denoiser: Denoiser,
        *,
        batch_size: int,
        sampler: SamplerConfig | None = None,
        world: World,
        seed: int,
        autocast: torch.dtype | None = None,
        grid_cache: Path | None = None,
    ):
        self.config, self.world, self.seed, self.autocast = config, world, seed, autocast
        self.weight = AdaptiveWeight(config.lambda_0, config.lambda_cap, config.lambda_smoothing)
        self.opened_at: int | None = None
        self.skipped = 0
        """Number of plays whose gradient was dropped because it was not finite."""
        self.gate = Gate(config.gate)
        if config.kind == "none":
            return
        self.batch_size = config.batch_size or batch_size
        world.share(self.batch_size)
        self.psi: Psi = make_psi(config, denoiser, denoiser.image_shape)
        self.opponent = Opponent(config, self.psi.num_features, self.psi.mean, world, seed)
        self.fakes = Fakes(
            config,
            sampler,
            sigma_data=denoiser.sigma_data,
            conditional=denoiser.num_classes > 0,
            paired=self.opponent.form.paired,
            seed=seed,
            codec=denoiser.codec,
            grid_cache=grid_cache,
        )
        self.gate.trained = self.opponent.form.trained
        uses_bank = self.opponent.form.uses_bank
        self.bank = RealBank(config.bank_images, seed) if uses_bank else None
        self.adapted = bool(adapter_parameters(denoiser, GAME))
        """Whether the game moves the denoiser's adapter alone."""

    @property
    def plays(self) -> int:
        """How often the game has been played."""
        return self.gate.plays

    def needs_opening(self, nimg: int) -> bool:
        """Whether `open` is due: the warm-up is over, or Psi is to be refreshed."""
        if self.config.kind == "none":
            return False
        if self.opened_at is None:
            return nimg >= self.config.start_kimg * 1000
        refresh = self.config.refresh_kimg
        return refresh is not None and nimg - self.opened_at >= refresh * 1000

    def open(self, nimg: int, ema_denoiser: Denoiser, dataset: ImageDataset) -> None:
        """Copy the EMA denoiser into Psi, and standardise Psi by real training images."""
        self.psi.refresh(ema_denoiser)
        device = self.psi.mean.device
        real = self.psi.standardise(
            statistics_batches(self.config, self.fakes.codec, dataset, self.seed, device)
        )
        for statistic in self.psi.statistics.values():
            self.world.broadcast_(statistic)
        self.opponent.open(real, self.batch_size)
        if self.bank is not None:
            self.fakes.leave_out(None)
            least = max(2, self.opponent.form.neighbours(self.batch_size))
            self.bank.choose(nimg, dataset, self.fakes.groups(dataset), least)
        self.opened_at = nimg
        self.gate.start()

    def due(self, step: int) -> bool:
        """Whether optimiser step number `step` of the run (from 0) includes a play."""
        return self.opened_at is not None and step % self.config.every == 0

    def draw(self, dataset: ImageDataset, nimg: int, *, flip: bool = False) -> GameBatch:
        """This worker's share of the play at `nimg`: slots nimg .. nimg + batch_size - 1."""
        share = self.world.share(self.batch_size)
        play = range(nimg, nimg + self.batch_size)
        if self.bank is not None:
            self._fill_bank(self.bank, dataset, flip)
        like = self.psi.mean
        return self.fakes.draw(
            dataset, play[share], play=play, flip=flip, device=like.device, dtype=like.dtype
        )

    def _fill_bank(self, bank: RealBank, dataset: ImageDataset, flip: bool) -> None:
        """The features of the bank's choice, after it was made or came from a checkpoint."""
        if bank.content is None:
            codec, seed = self.fakes.codec, self.seed
            features = partial(bank_features, self.config, codec, self.psi, seed, flip)
            bank.fill(dataset, self.fakes.groups(dataset), features, self.world)
            self.fakes.leave_out(bank.left_out(dataset))
        self.opponent.bank = bank.content

    def play(
        self,
        denoiser: Denoiser,
        batch: GameBatch,
        micro_batch: int | None,
        denoise_grad: Tensor,
    ) -> tuple[list[Tensor | None], dict[str, float]]:
        """The discriminator's steps, and the adversarial gradient of the denoiser.

        Called by all workers at once. The denoiser plays in evaluation mode, as it is deployed.

        Args:
            batch: this worker's share, from `draw`.
            micro_batch: images put through the denoiser with gradient at once; None: all.
            denoise_grad: gradient of the denoising loss of the global batch (so summed over
                workers) at `denoiser.output_conv_weight`, or, if that is frozen, at all trained
                parameters.

        Returns:
            (gradients, metrics). gradients: for each of `denoiser.parameters()` lambda times this
            worker's share of the adversarial gradient, or None where there is none (everywhere
            while the gate is shut); summed over workers it is the gradient of the global batch.
            metrics: {'structure/...': finite number}; 'loss_g' and 'adv_grad' only if the
            denoiser is moved.
        """
        with evaluating(denoiser):
            gradients, logs = self._play(denoiser, batch, micro_batch, denoise_grad)
        return gradients, {f"structure/{name}": value for name, value in logs.items()}

    def _play(
        self, denoiser: Denoiser, batch: GameBatch, micro_batch: int | None, denoise_grad: Tensor
    ) -> tuple[list[Tensor | None], dict[str, float]]:
        moving = self.gate.open
        parameters = list(denoiser.parameters())
        moved = {id(p) for p in adapter_parameters(denoiser, GAME)} if self.adapted else None
        wanted = [p.requires_grad and (moved is None or id(p) in moved) for p in parameters]
        player: nn.Module = AdaptedDenoiser(denoiser, GAME) if self.adapted else denoiser
        parts = split_rows(len(batch.labels), micro_batch)
        noisy = self._denoising(
            lambda: torch.cat([self.fakes.noisy(player, batch, part) for part in parts])
        )
        # First pass. A share that fits in one part keeps its graph and needs no second.
        one_pass = moving and len(parts) == 1
        with torch.set_grad_enabled(one_pass):
            local = [self._fake_features(player, batch, noisy, part) for part in parts]
        with torch.no_grad():
            reals = torch.cat([self._real_features(batch, part) for part in parts])
        fake = self.world.all_gather(torch.cat(local))  # [N, F], the global batch
        real = self.world.all_gather(reals)
        labels, shown = self.world.all_gather(
            torch.stack([batch.groups, batch.shown], 1)
        ).T.contiguous()

        wins = self.gate.wins
        logs = self.opponent.observe(real, fake, labels, shown, self.plays, train=not wins)
        if wins:
            self.opponent.form.soften(SOFTENING)
        logs |= {
            "k": float(self.opponent.form.neighbours(len(fake))),
            "denoise_grad": float(denoise_grad.norm()),
            "gate_open": float(moving),
            "lambda": 0.0,
        }
        gradients: list[Tensor | None] = [None for _ in parameters]
        if not all(map(math.isfinite, logs.values())):
            self.skipped += 1
        elif moving:
            loss, feature_grad = self.opponent.feature_gradient(real, fake, labels)
            share = feature_grad[self.world.share(len(fake))]
            for part, kept in zip(parts, local, strict=True):
                if not one_pass:
                    kept = self._fake_features(player, batch, noisy, part)
                accumulate(gradients, kept, share[part], parameters, wanted)
            weighed, dropped = weigh(
                self.weight, denoiser, gradients, logs["denoise_grad"], self.adapted, self.world
            )
            self.skipped += dropped
            logs |= {"loss_g": loss, **weighed}
        accuracy, gap = (logs.get(name, math.nan) for name in ("accuracy", "logit_gap"))
        self.gate.observe_play(accuracy, gap)
        logs["skipped"] = float(self.skipped)
        return gradients, {name: value for name, value in logs.items() if math.isfinite(value)}

    def _fake_features(
        self, player: nn.Module, batch: GameBatch, noisy: Tensor, part: slice
    ) -> Tensor:
        x = self._denoising(lambda: self.fakes.images(player, batch, noisy, part))
        if batch.renoise is not None:
            x = x + self.config.renoise_sigma * batch.renoise[1][part]
        return self.psi(x)

    def _real_features(self, batch: GameBatch, part: slice) -> Tensor:
        x = batch.reals[part]
        if batch.renoise is not None:
            x = x + self.config.renoise_sigma * batch.renoise[0][part]
        return self.psi(x)

    def _denoising(self, call) -> Tensor:
        """call() under the autocast of the denoiser; everything else runs in full precision."""
        enabled = self.autocast is not None
        with torch.autocast(self.psi.mean.device.type, dtype=self.autocast, enabled=enabled):
            return call()

    def observe_held_out(
        self, held_out: Sequence[float], train: Sequence[float], nimg: int = 0, memory: float = 0.0
    ) -> None:
        """Pass the denoising losses per sigma bin to the gate (see Gate.observe_held_out).

        Not if the game moves an adapter alone: then they say nothing about the game.
        """
        if self.config.kind == "none" or not self.adapted:
            self.gate.observe_held_out(held_out, train, nimg, memory)

    def state_dict(self) -> tuple[dict[str, Tensor], dict]:
        """Flat tensors and a JSON-able dict; later plays depend on nothing else."""
        meta = {
            "opened_at": self.opened_at,
            "skipped": self.skipped,
            "gate": self.gate.state_dict(),
            "weight": self.weight.state_dict(),
        }
        if self.config.kind == "none":
            return {}, meta
        tensors = {f"opponent.{name}": value for name, value in self.opponent.state_dict().items()}
        if self.opened_at is not None:
            tensors |= {f"psi.{name}": value for name, value in self.psi.kept().items()}
        if self.bank is not None:
            tensors |= {f"bank.{name}": value for name, value in self.bank.state_dict().items()}
        return {name: value.detach() for name, value in tensors.items()}, meta

    def load_state_dict(self, tensors: dict[str, Tensor], meta: dict) -> None:
        """Set what `state_dict` returned for a game with the same settings."""
        self.opened_at, self.skipped = meta["opened_at"], meta["skipped"]
        self.gate.load_state_dict(meta["gate"])
        self.weight.load_state_dict(meta["weight"])
        if self.config.kind == "none":
            return
        self.opponent.load_state_dict(under("opponent.", tensors))
        if self.opened_at is not None:
            self.psi.restore(under("psi.", tensors))
        if self.bank is not None:
            self.bank.load_state_dict(under("bank.", tensors))
