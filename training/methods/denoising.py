"""Plain denoising: trains one denoiser to predict the clean image (EDM, EDM2)."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataset.store import ImageDataset
from foundation.workers import World
from models.codecs import make_codec
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import GAME, adapter_parameters
from models.layers.slot_dropout import dropout_keys
from models.power_ema import PowerEMA
from models.transfer import Copied, copy_from
from sampling.config import SamplerConfig
from training.averaged_weights import ema_denoiser
from training.batches import Batch, add_sums, draw_batch, micro_batches
from training.fine_tuning.player import tuned_player
from training.fine_tuning.remarks import fine_tuning_remarks
from training.held_out import HeldOutLoss
from training.initial_weights import drawn_by
from training.learning_rates import adapter_learning_rate, learning_rate
from training.method import NO_GAME, Extra, Measurement
from training.noise.build import make_noise_schedule
from training.noise.weighting import loss_share
from training.objectives import denoising_terms
from training.optimizers import make_optimizer
from training.players import Player, Rate, under
from training.run_settings import RunSettings

PREVIEW = SamplerConfig(solver="heun", grid="karras", steps=12)


class Denoising:
    """The method `denoising`: the player "denoiser" and its held-out loss.

    A method with another loss of the same batch is a class derived from this one, with `losses`;
    the settings that only the plain loss knows are then refused.
    If the denoiser has an adapter (model.adapter_rank), the adapter's parameters are a second group
    with another learning rate; this method gives them no gradient.
    """

    deployed = "denoiser"

    def __init__(self, settings: RunSettings, dataset: ImageDataset, world: World):
        """The initial weights depend on settings alone, so they are the same on every worker."""
        self.settings, self.dataset, self.world = settings, dataset, world
        denoiser, copied = begin_denoiser(settings, dataset)
        player = make_player(settings, denoiser.to(world.device))
        self.players = {self.deployed: player}
        self.remarks = tuple(fine_tuning_remarks(settings.train.tuned, copied, player))
        """Of the weights that it begins with."""
        compiled = settings.train.compile
        self.denoise = torch.compile(denoiser) if compiled else denoiser
        """The denoiser as the loss calls it."""
        if type(self).losses is not Denoising.losses:
            _refuse_plain_loss(settings)
        cache = Path(settings.grid_cache) if settings.grid_cache else None
        self.schedule = make_noise_schedule(settings.noise, denoiser.sigma_data, cache)

    @property
    def denoiser(self) -> Denoiser:
        """The network in training."""
        network = self.players[self.deployed].network
        assert isinstance(network, Denoiser)
        return network

    def turns(self, step: int) -> Sequence[str]:
        return (self.deployed,)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Of each image [B]: "loss", whose gradient moves the denoiser, and what is logged beside.

        "loss" has the learned uncertainty in it, "denoising_loss" is the plain EDM loss.
        """
        noise, sigma = self.settings.noise, batch.sigma
        share = None
        if noise.weighting != "uncertainty":
            share = loss_share(noise.weighting, sigma, self.denoiser.sigma_data)
        loss, plain, log_variance = denoising_terms(
            *(self.denoiser, batch.images, batch.labels, sigma, batch.noise, self.denoise),
            share=share,
            perturbation=noise.perturbation,
            penalty=noise.gradient_penalty,
            probe=batch.probe,
        )
        self.schedule.observe(sigma, plain, log_variance)
        return {"loss": loss, "denoising_loss": plain}

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        """Adds the gradient of the mean "loss"; returns the sums of all `losses`."""
        settings, denoiser = self.settings, self.denoiser
        sums: dict[str, Tensor] = {}
        for part in micro_batches(slots, self.world, settings.micro_batch):
            batch = draw_batch(
                *(settings, self.dataset, denoiser.codec, part, self.world.device),
                self.schedule,
                slots.start,
            )
            with autocast(settings, self.world), dropout_keys(denoiser, batch.dropout):
                losses = self.losses(batch)
            if batch.weight is not None:
                losses = {name: batch.weight * values for name, values in losses.items()}
            (losses["loss"].sum() / len(slots)).backward()
            add_sums(sums, losses)
        self.schedule.update(self.world, len(slots))
        return sums

    def extra(self, turn: str, slots: range) -> Extra:
        return Extra()

    @cached_property
    def _held_out(self) -> HeldOutLoss:
        return HeldOutLoss(self.settings, self.dataset, self.denoiser.codec, self.world)

    def measure(self, nimg: int) -> Measurement:
        """The held-out loss of the shorter tracked average; the structure game's gate reads it."""
        average = ema_denoiser(self.players[self.deployed], self.settings.ema.tracked[0])
        values, train, held_out = self._held_out.measure(average)
        return Measurement(values, held_out, train)

    def preview(self) -> SamplerConfig | None:
        return PREVIEW

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {f"noise.{name}": tensor for name, tensor in self.schedule.state().items()}, {}

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        self.schedule.restore(under("noise.", tensors))

    def summary(self) -> dict[str, Any]:
        """With `train.tuned` other than all also how many parameters are trained.

        Those of an adapter are not counted as the network's, with which they are merged.
        """
        if self.settings.train.tuned == "all":
            return dict(NO_GAME)
        trained = sum(p.numel() for p in self.players[self.deployed].own_parameters)
        named = self.denoiser.named_parameters()
        own = sum(p.numel() for name, p in named if ".adapters." not in name)
        return {"num_parameters": own, "trained_parameters": trained} | NO_GAME


def _refuse_plain_loss(settings: RunSettings) -> None:
    """Raise ValueError for settings that only the plain loss knows."""
    noise = settings.noise
    changed = noise.perturbation or noise.gradient_penalty or noise.weighting != "uncertainty"
    if noise.schedule == "adaptive" or changed:
        raise ValueError(
            "noise.schedule: adaptive, noise.weighting, noise.perturbation and "
            "noise.gradient_penalty belong to the loss of train.method denoising, and "
            f"{settings.train.method} has its own: leave them out"
        )


def make_denoiser(settings: RunSettings, dataset: ImageDataset) -> Denoiser:
    """The denoiser at the start of a run, on the CPU. Torch's global generator is not advanced."""
    return begin_denoiser(settings, dataset)[0]


def begin_denoiser(settings: RunSettings, dataset: ImageDataset) -> tuple[Denoiser, Copied | None]:
    """As `make_denoiser`, and what it took over of train.init_from; None: nothing was given."""
    train, copied = settings.train, None
    with drawn_by("init", settings.seed):
        codec = make_codec(dataset.codec)
        codec.look_near(dataset.stored_in)
        shape = codec.data_shape(dataset.image_shape)
        names = dataset.label_names
        encoder, text = settings.model.text, None
        if encoder is not None and dataset.num_classes:
            text = encoder.begin(dataset.trained_names)
        denoiser = Denoiser(shape, dataset.num_classes, settings.model, codec, names, text)
        if train.init_from:
            copied = copy_from(denoiser, train.init_from, overlap=train.init_copy == "overlap")
    return denoiser, copied


def make_player(settings: RunSettings, denoiser: Denoiser) -> Player:
    """The denoiser with an optimiser; its second group of parameters is the game's adapter.

    With `train.tuned` other than all there is one group, and no game.
    """
    if settings.train.tuned != "all":
        return tuned_player(settings, denoiser)
    adapter = adapter_parameters(denoiser, GAME)
    of_adapters = {id(parameter) for parameter in adapter_parameters(denoiser)}
    own = [p for p in denoiser.parameters() if id(p) not in of_adapters]
    groups = [{"params": own}] + ([{"params": adapter}] if adapter else [])
    rates: dict[str, Rate] = {"lr": partial(learning_rate, settings)}
    if adapter:
        rates["structure/adapter_lr"] = partial(adapter_learning_rate, settings)
    return Player(
        network=denoiser,
        optimizer=make_optimizer(denoiser, groups, settings.train),
        rates=rates,
        clip=settings.train.grad_clip,
        averages=PowerEMA(denoiser.named_parameters(), settings.ema.tracked),
    )


def autocast(settings: RunSettings, world: World) -> AbstractContextManager[Any]:
    """bf16 autocast if train.precision is bf16, else a context that does nothing."""
    if settings.train.precision == "bf16":
        return torch.autocast(world.device.type, dtype=torch.bfloat16)
    return nullcontext()
