"""Builds the networks, optimiser, averages and game of a run from its settings."""

import hashlib
from pathlib import Path

import torch

from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import adapter_parameters
from models.power_ema import PowerEMA
from models.transfer import initialise_from
from training.run_settings import RunSettings
from training.state.train_state import TrainState
from training.structure.game import StructureGame


def build_state(settings: RunSettings, dataset: ImageDataset, world: World) -> TrainState:
    """A fresh TrainState, the same on every rank: initial weights depend on the seed alone."""
    digest = hashlib.blake2b(f"init/{settings.seed}".encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest, "little"))
        denoiser = Denoiser(dataset.image_shape, dataset.num_classes, settings.model)
        if settings.train.init_from:
            initialise_from(denoiser, settings.train.init_from)
        denoiser.to(world.device)
        game = None
        if settings.structure.kind != "none":
            game = StructureGame(
                settings.structure,
                denoiser,
                batch_size=settings.structure.batch_size or settings.train.batch_size,
                sampler=settings.structure.sampler,
                world=world,
                seed=settings.seed,
                autocast=torch.bfloat16 if settings.train.precision == "bf16" else None,
                grid_cache=Path(settings.grid_cache) if settings.grid_cache else None,
            )
    adapters = adapter_parameters(denoiser)
    of_adapters = {id(parameter) for parameter in adapters}
    groups = [{"params": [p for p in denoiser.parameters() if id(p) not in of_adapters]}]
    if adapters:
        groups.append({"params": adapters})
    optimizer = torch.optim.Adam(groups, lr=settings.train.lr, betas=settings.train.adam_betas)
    ema = PowerEMA(denoiser.named_parameters(), settings.ema.tracked)
    return TrainState(denoiser, optimizer, ema, game)
