"""Gives a network in training its averaged weights: in a frozen copy, or for a while in itself."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.layers.low_rank_adapter import adapter_parameters
from training.players import Player


def ema_denoiser(player: Player, sigma_rel: float) -> Any:
    """A frozen copy of the player's network with its averages of one tracked length."""
    assert player.averages is not None, "this player keeps no averages"
    frozen = copy.deepcopy(player.network).eval().requires_grad_(False)
    frozen.load_state_dict(player.averages.state(sigma_rel), strict=False)
    return frozen


@contextmanager
def averaged(player: Player, sigma_rel: float) -> Iterator[None]:
    """Context in which the network's parameters hold its averages of one tracked length.

    An adapter's parameters keep their own values. The parameters remain the same objects; their
    data are exchanged, not copied.
    """
    assert player.averages is not None, "this player keeps no averages"
    own = {id(parameter) for parameter in adapter_parameters(player.network)}
    means = player.averages.state(sigma_rel)
    pairs = [(p, means[n]) for n, p in player.network.named_parameters() if id(p) not in own]
    kept = [parameter.data for parameter, _ in pairs]
    for parameter, mean in pairs:
        parameter.data = mean.to(parameter.dtype)
    try:
        yield
    finally:
        for (parameter, _), data in zip(pairs, kept, strict=True):
            parameter.data = data
