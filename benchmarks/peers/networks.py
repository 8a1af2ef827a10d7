"""Our U-Net, and those of the peers with as many operations.

Widths of a peer are multiples of 8, as processors and GPUs like them, and such that its forward
pass has as nearly as possible as many counted operations as ours. All networks stand in the same
preconditioning (EDM, arXiv 2206.00364, table 1).
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import sqrt

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers.optional import peer
from benchmarks.peers.place import Place
from models.config import ModelConfig
from models.denoiser import Denoiser

SHAPE = (3, 32, 32)
BATCH = 16
MODEL = ModelConfig(
    channels=48,
    channel_mult=(1, 2),
    blocks=2,
    attention_resolutions=(16,),
    structural_blocks=(),  # no peer has them
    class_conditional=False,
)
DIFFUSERS, LUCIDRAINS = "diffusers", "denoising-diffusion-pytorch"
GAIN = 0.7
"""Of our network's gains, which are 0 at the start: so that every layer gets a gradient."""


class Preconditioned(nn.Module):
    """D(x; sigma) round a peer's network F(x, noise level); x [B, C, H, W], sigma [B]."""

    def __init__(self, network: nn.Module, sigma_data: float):
        super().__init__()
        self.network, self.sigma_data = network, sigma_data

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        wide = sigma[:, None, None, None]
        variance = wide.square() + self.sigma_data**2
        raw = self.network(x / variance.sqrt(), sigma.log() / 4)
        raw = raw if isinstance(raw, Tensor) else raw[0]
        return self.sigma_data**2 / variance * x + wide * self.sigma_data / variance.sqrt() * raw


@dataclass(frozen=True)
class Size:
    """What is counted of a network, by one image."""

    parameters: int
    forward: int
    """Operations of a forward pass, two for each multiply-add; a training step takes 3 times."""

    @property
    def told(self) -> str:
        return f"{self.parameters / 1e6:.2f}M parameters, {self.forward / 1e9:.2f} GFLOP"


@torch.no_grad()
def size_of(make: Callable[[], nn.Module], shape: tuple[int, int, int] = SHAPE) -> Size:
    """Counts a network (x, sigma) -> x0 on the meta device.

    Convolutions, products of matrices and attention count; what works on each number by itself
    does not.
    """
    counter = FlopCounterMode(display=False)
    with torch.device("meta"):
        network = make()
        x, sigma = torch.empty(1, *shape), torch.ones(1)
        with counter:
            network(x, sigma)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Size(parameters, counter.get_total_flops())


def our_network(config: ModelConfig = MODEL, shape: tuple[int, int, int] = SHAPE) -> Denoiser:
    """An untrained denoiser whose gains are not 0."""
    torch.manual_seed(0)
    return with_gains(Denoiser(shape, 0, config))


@torch.no_grad()
def with_gains(denoiser: Denoiser) -> Denoiser:
    """The denoiser itself, its gains set to GAIN."""
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(GAIN)
    return denoiser


@dataclass(frozen=True)
class Peer:
    """A peer's network of as many operations as ours."""

    size: Size
    made: Mapping[str, Callable[[], nn.Module]]
    """{what it is switched to: function that makes the network}; the same operations, or nearly."""

    def networks(self, place: Place) -> Iterator[tuple[str, nn.Module]]:
        """(name, network in place) of each switch and memory format."""
        for (switch, make), last in itertools.product(self.made.items(), (False, True)):
            name = ", ".join(filter(None, (switch, "channels_last" if last else "contiguous")))
            torch.manual_seed(0)
            yield name, place.put(make(), last)


def peers(
    config: ModelConfig = MODEL, shape: tuple[int, int, int] = SHAPE
) -> dict[str, Callable[[], Peer]]:
    """{name: function that finds the peer}, which raises PeerMissing."""
    finders = {DIFFUSERS: diffusers_peer, LUCIDRAINS: lucidrains_peer}
    return {name: partial(find, config, shape) for name, find in finders.items()}


@lru_cache
def our_size(config: ModelConfig = MODEL, shape: tuple[int, int, int] = SHAPE) -> Size:
    """Of our network."""
    return size_of(lambda: Denoiser(shape, 0, config), shape)


@lru_cache
def diffusers_peer(config: ModelConfig, shape: tuple[int, int, int]) -> Peer:
    """diffusers' UNet2DModel with as many blocks and levels as ours, attention at the same."""
    module = peer("diffusers")
    attends = [side in config.attention_resolutions for side in config.sides(shape[1])]

    def network(widths: Sequence[int]) -> nn.Module:
        downs = ["AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends]
        ups = ["AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)]
        return module.UNet2DModel(
            sample_size=shape[1],
            in_channels=shape[0],
            out_channels=shape[0],
            block_out_channels=tuple(widths),
            layers_per_block=config.blocks,
            down_block_types=tuple(downs),
            up_block_types=tuple(ups),
            norm_num_groups=8,
            attention_head_dim=config.channels_per_head,
        )

    # The widths of further levels come first, in whole heads; that of the first level is fitted.
    unit = config.channels_per_head if any(attends) else 8
    widths = [config.channels * mult for mult in config.channel_mult]
    size = size_of(lambda: Preconditioned(network(widths), config.sigma_data), shape)
    scale = sqrt(our_size(config, shape).forward / size.forward)
    rest = [max(unit, round(scale * width / unit) * unit) for width in widths[1:]]
    made = {"": lambda eights: network([8 * eights, *rest])}
    return _matched(config, shape, round(scale * config.channels / 8), made)


@lru_cache
def lucidrains_peer(config: ModelConfig, shape: tuple[int, int, int]) -> Peer:
    """denoising-diffusion-pytorch's Unet, which has two blocks a level, and attends everywhere:
    linearly where ours does not."""
    module = peer("denoising_diffusion_pytorch")
    full = tuple(side in config.attention_resolutions for side in config.sides(shape[1]))

    def network(flash: bool, eights: int) -> nn.Module:
        mults = config.channel_mult
        return module.Unet(
            dim=8 * eights, dim_mults=mults, channels=shape[0], full_attn=full, flash_attn=flash
        )

    # Attention that is fused for processors is not counted: the last one tells.
    made = {"flash attention": partial(network, True), "plain attention": partial(network, False)}
    return _matched(config, shape, round(config.channels / 8), made)


def _matched(
    config: ModelConfig,
    shape: tuple[int, int, int],
    begin: int,
    made: Mapping[str, Callable[[int], nn.Module]],
) -> Peer:
    """The peer of the width whose forward pass is nearest to ours in operations.

    made: {switch: function of the width in units of 8 channels}; the last one is counted.
    """
    wanted, count = our_size(config, shape).forward, list(made.values())[-1]

    def preconditioned(make: Callable[[int], nn.Module], width: int) -> nn.Module:
        return Preconditioned(make(width), config.sigma_data)

    sizes: dict[int, Size] = {}
    width, way = max(1, begin), 0
    while width > 0 and width not in sizes:  # towards ours, until it is passed
        sizes[width] = size_of(partial(preconditioned, count, width), shape)
        turn = 1 if sizes[width].forward < wanted else -1
        if way and turn != way:
            break
        width, way = width + turn, turn
    best = min(sizes, key=lambda width: abs(sizes[width].forward - wanted))
    switches = {name: (lambda make=make: preconditioned(make, best)) for name, make in made.items()}
    return Peer(sizes[best], switches)
