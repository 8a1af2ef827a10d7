"""Images drawn with 18 Heun steps beside diffusers' pipelines with as many evaluations.

18 Heun steps are 35 evaluations of the network. diffusers has no pipeline of Heun's method in EDM's
form, so its DDIMPipeline and a loop over its EDMEulerScheduler take 35 steps each; the network is
its own of as many operations.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.peers.networks import BATCH, DIFFUSERS, MODEL, SHAPE, Peer, our_network, our_size
from benchmarks.peers.networks import peers as peers_networks
from benchmarks.peers.optional import Way, beside, peer
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row
from models.config import ModelConfig
from sampling.config import SamplerConfig
from sampling.generate import generate

IMAGES, STEPS = 32, 18
AIM, ROUNDS = 0.9, 3


def rows() -> Iterator[Row]:
    """A row beside each scheduler: 32x32 colour images in batches of 16, fp32."""
    yield from rows_on(Place())


def rows_on(
    place: Place,
    config: ModelConfig = MODEL,
    shape: tuple[int, int, int] = SHAPE,
    batch: int = BATCH,
    images: int | None = None,
) -> Iterator[Row]:
    """The same rows for another network and batch elsewhere."""
    count = images or IMAGES
    sampler = SamplerConfig(solver="heun", grid="karras", steps=STEPS)
    network, ours = our_network(config, shape), our_size(config, shape)
    place.put(network, place.channels_last)
    found: dict[str, Peer] = {}

    def draw() -> None:
        with place.autocast():
            generate(network, sampler, 0, range(count), batch_size=batch)

    def ways(draws: Callable[..., Way], name: str) -> dict[str, Way]:
        found[name] = peers_networks(config, shape)[DIFFUSERS]()
        return {
            which: draws(inner, place, shape, batch, count, sampler.nfe)
            for which, inner in found[name].networks(place)
        }

    for name, draws in {"DDIMPipeline": ddim, "EDMEulerScheduler": edm_euler}.items():
        for row in beside(
            f"{count} images, {sampler.nfe} evaluations",
            draw,
            {name: partial(ways, draws, name)},
            ROUNDS,
            AIM,
            lambda name: f"ours {ours.told}, theirs {found[name].size.told}",
            place.finished,
        ):
            yield row_with_speed(row, count)


def row_with_speed(row: Row, count: int) -> Row:
    """The row, its note begun with images a second."""
    speeds = f"{count / row.ours:.2f} images/s"
    if row.peers is not None:
        speeds += f" beside {count / row.peers:.2f}"
    return replace(row, note="; ".join(filter(None, (speeds, row.note))))


def ddim(
    network: nn.Module, place: Place, shape: tuple[int, ...], batch: int, count: int, steps: int
) -> Way:
    """diffusers' pipeline for networks without conditions, as it comes."""
    module = peer("diffusers")
    unet: Any = network.network  # the pipeline has its own preconditioning
    pipeline = module.DDIMPipeline(unet.eval(), module.DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)

    def draw() -> None:
        with place.autocast():
            for start in range(0, count, batch):
                size = min(batch, count - start)
                pipeline(size, num_inference_steps=steps, output_type="np")

    return draw


def edm_euler(
    network: nn.Module, place: Place, shape: tuple[int, ...], batch: int, count: int, steps: int
) -> Way:
    """The loop that diffusers' pipelines have, over its scheduler of EDM."""
    scheduler = peer("diffusers").EDMEulerScheduler()
    unet: Any = network.network

    @torch.no_grad()
    def draw() -> None:
        for start in range(0, count, batch):
            scheduler.set_timesteps(steps, device=place.device)
            size = min(batch, count - start)
            x = torch.randn(size, *shape, device=place.device) * scheduler.init_noise_sigma
            for level in scheduler.timesteps:
                with place.autocast():
                    raw = unet.eval()(scheduler.scale_model_input(x, level), level).sample
                x = scheduler.step(raw.float(), level, x).prev_sample

    return draw
