"""How workers share one image: the two sides of guidance on two groups, and bands of rows in each.

The sides of classifier-free guidance are two halves of one batch, which need nothing of each other,
so two groups of workers evaluate them side by side, exactly. Within a group the image is cut into
bands (sampling/banded.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from models.bands import StackedBands
from models.bands.group import GroupBands
from models.denoiser import Denoiser
from models.layers.exchange import Exchange
from sampling.band_plan import BandPlan
from sampling.banded import BandedDenoiser
from sampling.config import SamplerConfig
from sampling.guidance.base import Guide, LabelledDenoiser
from sampling.guidance.table import helper_of


@dataclass(frozen=True)
class Division:
    """How this process shares images with others, or cuts them into bands alone."""

    network: Callable[[LabelledDenoiser], LabelledDenoiser]
    """Gives each network of a sampler, the denoiser and those that guide it, its bands."""
    decoding: Exchange | None = None
    """Over which latents are decoded; None: this process decodes whole pictures."""


def in_one_process(sampler: SamplerConfig) -> Division | None:
    """The bands of a displaced sampler, all in this process; None where images are whole."""
    if sampler.bands is None:
        return None
    bands = sampler.bands

    def network(denoiser: LabelledDenoiser) -> LabelledDenoiser:
        return banded(denoiser, StackedBands(bands.count), bands.warm_up)

    return Division(network)


def over_group(plan: BandPlan, timeout: timedelta | None = None) -> Division:
    """The plan over all processes of torch.distributed, each of which must call this.

    Rank r holds band r % bands of group r // bands. timeout: so long a process waits for another
    one's message (None: torch's own half an hour). Raises ValueError for another number of
    processes.
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    if size != plan.workers:
        raise ValueError(f"{size} processes for {plan.workers} workers")
    groups = [range(g * plan.bands, (g + 1) * plan.bands) for g in range(plan.groups)]
    bands = _own_group(groups, timeout)
    sides = None
    if plan.groups == 2:
        sides = _own_group([range(b, size, plan.bands) for b in range(plan.bands)], timeout)
    networks = 1

    def network(denoiser: LabelledDenoiser) -> LabelledDenoiser:
        nonlocal networks
        made = banded(denoiser, GroupBands(bands, networks), plan.warm_up)
        networks += 1
        return made if sides is None else OneSide(made, sides, rank // plan.bands)

    return Division(network, GroupBands(bands, 0))


def _own_group(groups: list[range], timeout: timedelta | None) -> dist.ProcessGroup:
    """Make all groups, which every process must do, and return the one that this rank is in."""
    made = [dist.new_group(list(ranks), timeout=timeout) for ranks in groups]
    mine = next(i for i, ranks in enumerate(groups) if dist.get_rank() in ranks)
    return cast(dist.ProcessGroup, made[mine])


def banded(
    denoiser: LabelledDenoiser, exchange: StackedBands | GroupBands, warm_up: int | None
) -> BandedDenoiser:
    """The denoiser in bands. Raises ValueError where it is no network of this project."""
    if not isinstance(denoiser, Denoiser):
        raise ValueError(
            f"bands need the project's own network, and {type(denoiser).__name__} is none: leave "
            "bands out"
        )
    return BandedDenoiser(denoiser, exchange, warm_up)


def divided_guide(guide: Guide, sampler: SamplerConfig, division: Division) -> Guide:
    """The networks and functions that guide, with each network divided."""
    helpers = [
        (entry, helper_of(guide, index, entry.kind)) for index, entry in enumerate(sampler.guidance)
    ]
    return tuple(
        division.network(helper) if entry.needs.network and helper is not None else helper
        for entry, helper in helpers
    )


class OneSide(nn.Module):
    """A denoiser of which this process evaluates one half of each batch, and another the other.

    A batch of an odd number is evaluated whole by both.

    Args:
        denoiser: a network.
        pair: torch.distributed's group of the two processes.
        side: 0, the first half of the batch, or 1.
    """

    def __init__(self, denoiser: BandedDenoiser, pair: dist.ProcessGroup, side: int):
        super().__init__()
        self._shape: torch.Size | None = None
        self.denoiser, self.pair, self.side = denoiser, pair, side
        self.sigma_data = denoiser.sigma_data
        self.image_shape = denoiser.image_shape
        self.num_classes = denoiser.num_classes

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        if x.shape != self._shape:  # its own half may have the shape that the whole had before
            self.denoiser.restart()
            self._shape = x.shape
        if len(x) % 2:
            return self.denoiser(x, sigma, labels)
        sigma = sigma.expand(len(x))
        own = self.denoiser(
            x.chunk(2)[self.side],
            sigma.chunk(2)[self.side],
            None if labels is None else labels.chunk(2)[self.side],
        ).contiguous()
        halves = [torch.empty_like(own) for _ in range(2)]
        dist.all_gather(halves, own, self.pair)
        return torch.cat(halves)
