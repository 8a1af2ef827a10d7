"""Our training as the benchmarks run it: settings, made-up images, one step without a loader."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from benchmarks.peers.networks import BATCH, MODEL, SHAPE, with_gains
from benchmarks.peers.place import Place
from dataset.config import DatasetConfig
from dataset.store import ImageDataset
from foundation.workers import World
from models.config import EMAConfig, ModelConfig
from pipelines.forecast.stand_in import write_stand_in
from training.batches import draw_batch
from training.config import NoiseConfig, TrainConfig
from training.methods.build import build_method
from training.methods.denoising import Denoising, autocast
from training.run_settings import RunSettings
from training.structure.config import StructureConfig

IMAGES = 512
"""Made up, half of them for training."""


def settings_of(
    model: ModelConfig = MODEL,
    batch: int = BATCH,
    steps: int = 1000,
    *,
    bf16: bool = False,
    log_every: int = 10**6,
) -> RunSettings:
    """A plain training of so many steps without held-out losses before its end.

    log_every: steps between two points of the curves.
    """
    train = TrainConfig(
        total_kimg=steps * batch / 1000,
        batch_size=batch,
        precision="bf16" if bf16 else "fp32",
        log_every_kimg=min(1e6, log_every * batch / 1000),
        held_out_every_kimg=1e6,
        held_out_images=8,
        sigma_bins=1,
    )
    return RunSettings(
        seed=0,
        model=model,
        noise=NoiseConfig(),
        train=train,
        structure=StructureConfig(kind="none"),
        ema=EMAConfig(snapshots=2),
    )


def made_up_images(folder: Path, shape: tuple[int, int, int] = SHAPE) -> ImageDataset:
    """IMAGES random images in an empty folder, which it makes."""
    folder.mkdir(parents=True, exist_ok=True)
    channels: Literal[1, 3] = 1 if shape[0] == 1 else 3
    write_stand_in(DatasetConfig(resolution=shape[1], channels=channels), folder, IMAGES)
    return ImageDataset(folder)


def our_step(
    settings: RunSettings, dataset: ImageDataset, place: Place | None = None
) -> Callable[[], None]:
    """A step of the method that the trainer builds, over a batch that is drawn once.

    Loss, gradients, optimiser, forced weight normalisation; no clipping and no averages.
    """
    place = place or Place()
    world = World(device=torch.device(place.device))
    method = build_method(settings, dataset, world)
    assert isinstance(method, Denoising)
    player, count = method.players[method.deployed], settings.train.batch_size
    with_gains(method.denoiser)
    place.put(method.denoiser, place.channels_last)
    batch = draw_batch(settings, dataset, method.denoiser.codec, range(count), world.device)

    def step() -> None:
        player.optimizer.zero_grad(set_to_none=True)
        with autocast(settings, world):
            losses = method.losses(batch)
        (losses["loss"].sum() / count).backward()
        player.step()

    return step
