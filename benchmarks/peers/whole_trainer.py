"""A step of the whole trainer beside a step of a bare loop over the same network.

The trainer reads images from the memory map, draws all that is random by image slot, computes the
loss, clips, steps, averages two lengths, logs every step and saves as it does by default. The bare
loop has images in memory, torch's noise, the same loss and the same optimiser. The bare step is
done between two steps of the trainer, so both have the same machine.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.peers.networks import BATCH, MODEL, SHAPE
from benchmarks.peers.our_training import made_up_images, settings_of
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row, compared
from dataset.store import ImageDataset
from foundation.workers import World
from models.config import ModelConfig
from training.events import Event, Logged
from training.loop import train
from training.methods.denoising import autocast, make_denoiser, make_player
from training.objectives import denoising_loss
from training.run_settings import RunSettings

AIM, ROUNDS = 1.03, 25
WARM_UP = 2
"""Steps at the beginning that do not count; nor does the last, after which everything is saved."""


def rows() -> Iterator[Row]:
    """One row: 32x32 colour images, a batch of 16, fp32."""
    yield from rows_on(Place())


def rows_on(
    place: Place,
    config: ModelConfig = MODEL,
    shape: tuple[int, int, int] = SHAPE,
    batch: int = BATCH,
) -> Iterator[Row]:
    """The same row for another network and batch elsewhere."""
    steps = WARM_UP + ROUNDS + 1
    settings = settings_of(config, batch, steps, bf16=place.bf16, log_every=1)
    world = World(device=torch.device(place.device))
    ours: list[float] = []
    theirs: list[float] = []
    with TemporaryDirectory() as name:
        dataset = made_up_images(Path(name) / "dataset", shape)
        bare = bare_step(settings, world, dataset)
        since = time.perf_counter()

        def report(event: Event) -> None:
            nonlocal since
            if not isinstance(event, Logged):
                return
            place.finished()
            ours.append(time.perf_counter() - since)
            begin = time.perf_counter()
            bare()
            place.finished()
            theirs.append(time.perf_counter() - begin)
            since = time.perf_counter()

        train(settings, dataset, Path(name) / "run", world, report)
    counted = slice(WARM_UP, WARM_UP + ROUNDS)
    what = f"a step of the trainer, batch {batch}"
    yield compared(what, ours[counted], "bare loop", theirs[counted], AIM, "logged at every step")


def bare_step(settings: RunSettings, world: World, dataset: ImageDataset) -> Callable[[], None]:
    """A step over images that are in memory, as one would write it by hand."""
    batch, device = settings.train.batch_size, world.device
    stored = torch.tensor(dataset.images[: 4 * batch])
    images = stored.permute(0, 3, 1, 2).float().to(device) / 127.5 - 1
    denoiser = make_denoiser(settings, dataset).to(device)
    optimizer = make_player(settings, denoiser).optimizer
    labels = torch.full((batch,), -1, device=device)

    def step() -> None:
        chosen = torch.randint(len(images), (batch,), device=device)
        sigma = (torch.randn(batch, device=device) * 1.2 - 0.8).exp()
        noise = torch.randn(batch, *images.shape[1:], device=device)
        optimizer.zero_grad(set_to_none=True)
        with autocast(settings, world):
            loss, _ = denoising_loss(denoiser, images[chosen], labels, sigma, noise)
        loss.mean().backward()
        optimizer.step()
        denoiser.normalize_weights()

    return step
