"""A forward pass for sampling of our U-Net beside those of the peers, as their step is.

Ours has its weights normalised once, as they are for a whole trajectory.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch

from benchmarks.peers.networks import BATCH, MODEL, SHAPE, Peer, our_network, our_size, peers
from benchmarks.peers.optional import Way, beside
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row
from models.config import ModelConfig
from sampling.drawing.networks import evaluating

AIM, ROUNDS = 0.85, 15


def rows() -> Iterator[Row]:
    """A row beside each peer: 32x32 colour images, a batch of 16, fp32."""
    yield from rows_on(Place())


@torch.no_grad()
def rows_on(
    place: Place,
    config: ModelConfig = MODEL,
    shape: tuple[int, int, int] = SHAPE,
    batch: int = BATCH,
) -> Iterator[Row]:
    """The same rows for other networks and batches elsewhere."""
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(batch, *shape, generator=generator).to(place.device)
    sigma = torch.full((batch,), 3.0, device=place.device)
    ours, found = our_size(config, shape), dict[str, Peer]()

    def way(network: Callable[..., object]) -> Way:
        def forward() -> None:
            with torch.no_grad(), place.autocast():
                network(noisy, sigma)

        return forward

    def ways(name: str, find: Callable[[], Peer]) -> dict[str, Way]:
        found[name] = find()
        return {which: way(network.eval()) for which, network in found[name].networks(place)}

    network = our_network(config, shape)
    place.put(network, place.channels_last)
    with evaluating(network):
        yield from beside(
            f"forward, {shape[1]}x{shape[2]}x{shape[0]}, batch {batch}",
            way(network),
            {name: partial(ways, name, find) for name, find in peers(config, shape).items()},
            ROUNDS,
            AIM,
            lambda name: f"ours {ours.told}, theirs {found[name].size.told}",
            place.finished,
        )
