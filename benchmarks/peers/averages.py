"""An update of averages of two lengths, beside diffusers' EMAModel and ema-pytorch.

A peer has two of its averages. Memory is what limits all of them: the floor is reading the weights
once, and reading and writing each average once.
"""

from collections.abc import Iterator
from functools import partial

from torch import nn

from benchmarks.peers.networks import MODEL, SHAPE
from benchmarks.peers.optional import Way, beside, peer
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.power_ema import PowerEMA

AIM, ROUNDS = 0.6, 15
LENGTHS = (0.05, 0.10)
WIDE = ModelConfig(channels=128, channel_mult=(1, 2, 2), blocks=4, attention_resolutions=(16,))
"""As large as the network of presets/cifar10.yaml."""
MODELS = (MODEL, WIDE)
DECAY = 0.999


def rows() -> Iterator[Row]:
    """A row beside each peer, for a small and a large network."""
    for config in MODELS:
        yield from rows_on(Place(), config)


def rows_on(
    place: Place, config: ModelConfig = WIDE, shape: tuple[int, int, int] = SHAPE
) -> Iterator[Row]:
    """The same rows for one network elsewhere."""
    network = Denoiser(shape, 0, config).to(place.device)
    count = sum(parameter.numel() for parameter in network.parameters())
    ours, seen = PowerEMA(network.named_parameters(), LENGTHS), 0

    def update() -> None:
        nonlocal seen
        seen += 128
        ours.update(seen, 128)

    floor = 4 * count * (1 + 2 * len(LENGTHS)) / 1e6
    yield from beside(
        f"{len(LENGTHS)} averages of {count / 1e6:.2f}M parameters",
        update,
        {
            "diffusers EMAModel": partial(diffusers_ways, network),
            "ema-pytorch": partial(ema_pytorch_ways, network),
        },
        ROUNDS,
        AIM,
        lambda name: f"floor {floor:.0f} MB read and written",
        place.finished,
    )


def diffusers_ways(network: nn.Module) -> dict[str, Way]:
    """Two EMAModels, each parameter by itself and all in one call."""
    make = peer("diffusers.training_utils").EMAModel

    def way(foreach: bool) -> Way:
        averages = [make(network.parameters(), DECAY, foreach=foreach) for _ in LENGTHS]
        for average in averages:
            average.to(next(network.parameters()).device)
        return lambda: [average.step(network.parameters()) for average in averages]

    return {"one by one": way(False), "foreach": way(True)}


def ema_pytorch_ways(network: nn.Module) -> dict[str, Way]:
    """Two EMAs of constant decay, which it has in both forms, and its power-function EMAs."""
    module = peer("ema_pytorch")
    options = {"update_every": 1, "update_after_step": 0, "include_online_model": False}

    def way(foreach: bool) -> Way:
        averages = [
            module.EMA(network, beta=DECAY, use_foreach=foreach, **options) for _ in LENGTHS
        ]
        return lambda: [average.update() for average in averages]

    def powers() -> Way:
        averages = [module.KarrasEMA(network, sigma_rel=s, update_every=1) for s in LENGTHS]
        return lambda: [average.update() for average in averages]

    return {"one by one": way(False), "foreach": way(True), "KarrasEMA": powers()}
