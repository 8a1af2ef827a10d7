"""The method `autoencoder`: trains the autoencoder of kind kl on pictures."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_normal
from dataset.store import ImageDataset
from foundation.workers import World
from models.autoencoders.base import pictures_at_once
from models.autoencoders.config import KLConfig
from models.autoencoders.kl import KLAutoencoder
from models.autoencoders.psnr import psnr
from models.codecs.pixel import PixelCodec
from models.power_ema import PowerEMA
from sampling.config import SamplerConfig
from training.averaged_weights import ema_denoiser
from training.batches import add_sums, draw_stored, micro_batches
from training.initial_weights import drawn_by
from training.learning_rates import learning_rate
from training.method import Extra, Measurement
from training.methods.denoising import autocast
from training.players import Player
from training.run_settings import RunSettings


class AutoencoderTraining:
    """Absolute error of the decoded picture, and a small divergence from a unit normal.

    For an image of P pixel values (all channels) whose latent numbers have means m and deviations
    s, with eps unit normal and z = m + s eps,

        loss = (sum |decode(z) - image| + w * 1/2 sum (m^2 + s^2 - 1 - ln s^2)) / P

    and the loss of a batch is the mean over its images. Both sums as in latent diffusion
    (arXiv 2112.10752), whose w is 1e-6; the division by P changes no minimum, and "l1" is then the
    error of one pixel value. w is 0 before kl_start_kimg.
    """

    deployed = "autoencoder"

    def __init__(self, settings: RunSettings, dataset: ImageDataset, world: World):
        """Raises ValueError for settings that describe no autoencoder, or one of other pictures."""
        if settings.autoencoder is None:
            raise ValueError(
                "train.method: autoencoder is what the stage autoencoder trains: describe it under "
                "`autoencoder`, and leave denoising here"
            )
        self.settings, self.dataset, self.world = settings, dataset, world
        self.config: KLConfig = settings.autoencoder
        network = make_network(settings, dataset.image_shape[0]).to(world.device)
        self.latent_shape = network.latent_shape(dataset.image_shape)
        self.players = {
            self.deployed: Player(
                network=network,
                optimizer=torch.optim.Adam(
                    network.parameters(), lr=settings.train.lr, betas=settings.train.adam_betas
                ),
                rates={"lr": partial(learning_rate, settings)},
                clip=settings.train.grad_clip,
                averages=PowerEMA(network.named_parameters(), settings.ema.tracked),
            )
        }

    def turns(self, step: int) -> Sequence[str]:
        return (self.deployed,)

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        network: Any = self.players[turn].network
        begun = slots.start >= 1000 * self.config.kl_start_kimg
        sums: dict[str, Tensor] = {}
        for part in micro_batches(slots, self.world, self.settings.micro_batch):
            images, noise = self.draw(part)
            with autocast(self.settings, self.world):
                moments = network.encode(images)
                decoded = network.unclamped(moments.mean + moments.std * noise)
            losses = kl_losses(
                images, decoded, moments.mean, moments.std, self.config.kl_weight * begun
            )
            (losses["loss"].sum() / len(slots)).backward()
            add_sums(sums, losses)
        return sums

    def draw(self, slots: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Pictures [B, C, H, W] of these slots, half of them mirrored, and eps [B, c, h, w]."""
        stored, _, mirrored = draw_stored(self.settings, self.dataset, slots)
        images = PixelCodec().encode(stored, mirrored)
        noise = slot_normal(self.settings.seed, "latent", slots, self.latent_shape)
        return images.to(self.world.device), noise.to(self.world.device)

    def extra(self, turn: str, slots: range) -> Extra:
        return Extra()

    @torch.no_grad()
    def measure(self, nimg: int) -> Measurement:
        """How the shorter tracked average reconstructs held-out images from their means.

        held_out/loss: absolute error of a pixel value, of 2 from black to white. held_out/psnr:
        mean over images (dB). held_out/kl: divergence (nats), summed over a latent. Nothing is
        measured where no image is held out.
        """
        network = ema_denoiser(self.players[self.deployed], self.settings.ema.tracked[0])
        held_out = self.dataset.held_out_indices
        count = min(self.settings.train.held_out_images, len(held_out))
        if not count:
            return Measurement({})
        spread = np.linspace(0, len(held_out) - 1, count).round().astype(np.int64)
        mine = held_out[spread][self.world.rank :: self.world.size]
        totals = torch.zeros(3, dtype=torch.float64, device=self.world.device)
        size = pictures_at_once(*self.dataset.image_shape[1:])
        for start in range(0, len(mine), size):
            stored, _ = self.dataset.stored(mine[start : start + size])
            images = PixelCodec().encode(stored).to(self.world.device)
            moments = network.encode(images)
            decoded = network.decode(moments.mean)
            losses = kl_losses(images, decoded, moments.mean, moments.std, 0.0)
            ratios = psnr(images, decoded.float(), 2.0)
            for index, values in enumerate((losses["l1"], ratios, losses["kl"])):
                totals[index] += values.double().sum()
        l1, ratio, divergence = (self.world.all_reduce_sum_(totals) / count).tolist()
        return Measurement({"held_out/loss": l1, "held_out/psnr": ratio, "held_out/kl": divergence})

    def preview(self) -> SamplerConfig | None:
        return None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {}

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        pass

    def summary(self) -> dict[str, Any]:
        return {}


def kl_losses(
    images: Tensor, decoded: Tensor, mean: Tensor, std: Tensor, weight: float
) -> dict[str, Tensor]:
    """Of each image [B]: "loss", "l1" (mean over pixel values) and "kl" (sum over the latent).

    images, decoded: [B, C, H, W]; mean, std: [B, c, h, w] of the latents.
    """
    l1 = (decoded.float() - images).abs().flatten(1).mean(1)
    mean, std = mean.float(), std.float()
    each = (mean.square() + std.square() - 1 - 2 * std.log()) / 2  # [B, c, h, w]
    divergence = each.flatten(1).sum(1)
    return {"loss": l1 + weight / images[0].numel() * divergence, "l1": l1, "kl": divergence}


def make_network(settings: RunSettings, channels: int) -> KLAutoencoder:
    """The autoencoder at the start of a run, on the CPU; channels: of pictures.

    Its weights depend on the seed alone. Torch's global generator is not advanced.
    """
    config = settings.autoencoder
    assert config is not None
    with drawn_by("autoencoder", settings.seed):
        return KLAutoencoder(channels, config.channels, config.factor, config.width)
