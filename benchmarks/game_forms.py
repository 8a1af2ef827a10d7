"""A play of the structure game by each form of discriminator, beside one of per_sample."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.side_by_side import Row, compared, side_by_side
from dataset.config import DatasetConfig
from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import load_denoiser
from pipelines.forecast.stand_in import write_stand_in
from pipelines.params import load_params
from training.structure.config import GateConfig, StructureConfig
from training.structure.game import StructureGame

PEER = "per_sample"
KINDS = ("graph", "tangent", "bank", "two_bank", "law", "kernel", "fd")
AIM = 1.3
IMAGES, RECENT, ROUNDS = 34_000, 8, 5  # half of them are training images


def rows() -> Iterator[Row]:
    """One row a form: Fashion-MNIST's network and game, random pictures, a bank of 8,192."""
    settings = load_params("presets/fashion_mnist.yaml").structure
    with TemporaryDirectory() as name:
        write_stand_in(DatasetConfig(resolution=16), Path(name), IMAGES)
        dataset = ImageDataset(name)
        ways = {kind: _play(settings, kind, dataset) for kind in (PEER, *KINDS)}
        taken = side_by_side(ways, ROUNDS)
    for kind in KINDS:
        aim = AIM if kind in ("tangent", "bank", "two_bank") else None
        yield compared(f"a play of {kind}", taken[kind], PEER, taken[PEER], aim=aim)


def _play(settings: StructureConfig, kind: str, dataset: ImageDataset) -> Callable[[], object]:
    """A call that plays once, after RECENT plays that fill what is kept of them."""
    config = settings.model_copy(
        update={
            "kind": kind,
            "start_kimg": 0.0,
            "recent_plays": RECENT,
            "gate": GateConfig(min_plays=1, chance_margin=0.0, win_gap=1e9),
        }
    )
    denoiser = load_denoiser("studies/assets/fashion_mnist_600kimg.safetensors")
    denoiser.requires_grad_(True)  # it has an adapter, which the game moves alone
    game = StructureGame(
        config, denoiser, batch_size=64, sampler=config.sampler, world=World(), seed=0
    )
    game.open(0, denoiser, dataset)
    slope = torch.ones_like(denoiser.output_conv_weight)
    number = 0

    def play() -> None:
        nonlocal number
        batch = game.draw(dataset, number * game.batch_size)
        game.gate.trained = False  # open, whatever the discriminator has learned
        game.play(denoiser, batch, None, slope)
        number += 1

    for _ in range(RECENT):
        play()
    return play
