"""A training step of our U-Net beside those of diffusers and denoising-diffusion-pytorch.

A step is noise added, loss, gradients and Adam, over a batch that is at hand. Ours is the one of
the trainer's method, with its learned uncertainty and its forced weight normalisation. A peer has
the plain loss, fused Adam and the fastest of its memory formats and kinds of attention.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from benchmarks.peers.networks import BATCH, MODEL, SHAPE, Peer, our_size, peers
from benchmarks.peers.optional import Way, beside
from benchmarks.peers.our_training import made_up_images, our_step, settings_of
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row
from models.config import ModelConfig
from training.objectives import edm_weight

AIM, ROUNDS = 0.9, 9


def rows() -> Iterator[Row]:
    """A row beside each peer: 32x32 colour images, a batch of 16, fp32."""
    yield from rows_on(Place())


def rows_on(
    place: Place,
    config: ModelConfig = MODEL,
    shape: tuple[int, int, int] = SHAPE,
    batch: int = BATCH,
) -> Iterator[Row]:
    """The same rows for other networks and batches elsewhere."""
    ours = our_size(config, shape)
    found: dict[str, Peer] = {}

    def ways(name: str, find: Callable[[], Peer]) -> dict[str, Way]:
        found[name] = find()
        return {
            way: peer_step(network, place, shape, batch, config.sigma_data)
            for way, network in found[name].networks(place)
        }

    with TemporaryDirectory() as folder:
        settings = settings_of(config, batch, bf16=place.bf16)
        yield from beside(
            f"step, {shape[1]}x{shape[2]}x{shape[0]}, batch {batch}",
            our_step(settings, made_up_images(Path(folder), shape), place),
            {name: partial(ways, name, find) for name, find in peers(config, shape).items()},
            ROUNDS,
            AIM,
            lambda name: f"ours {ours.told}, theirs {found[name].size.told}",
            place.finished,
        )


def peer_step(
    network: nn.Module, place: Place, shape: tuple[int, int, int], batch: int, sigma_data: float
) -> Callable[[], None]:
    """A step of a network (x, sigma) -> x0 with the plain EDM loss and fused Adam."""
    generator = torch.Generator().manual_seed(0)
    images, noise = (
        torch.randn(batch, *shape, generator=generator).to(place.device) for _ in range(2)
    )
    sigma = torch.randn(batch, generator=generator).exp().to(place.device)
    weight = edm_weight(sigma, sigma_data)[:, None, None, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        noisy = images + sigma[:, None, None, None] * noise
        with place.autocast():
            denoised = network(noisy, sigma)
        (weight * (denoised.float() - images).square()).mean().backward()
        optimizer.step()

    return step
