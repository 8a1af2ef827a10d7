"""The networks behind a denoiser, and the context in which they draw a trajectory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.layers.prepared_weights import weights_prepared
from sampling.banded import BandedDenoiser
from sampling.guidance.base import Guided, LabelledDenoiser


def device_of(denoiser: LabelledDenoiser) -> torch.device:
    """The device of the denoiser's first parameter or buffer."""
    for network in networks_of(denoiser):
        for tensor in (*network.parameters(), *network.buffers()):
            return tensor.device
    return torch.device("cpu")


def networks_of(denoiser: object) -> Iterator[torch.nn.Module]:
    """The denoiser where it is a network; the networks that guidance holds, however it nests."""
    if isinstance(denoiser, torch.nn.Module):
        yield denoiser
    elif isinstance(denoiser, Guided):
        for part in vars(denoiser).values():
            yield from networks_of(part)


@contextmanager
def evaluating(denoiser: LabelledDenoiser) -> Iterator[None]:
    """Context of one trajectory: modules are in evaluation mode, and weights are normalised once.

    Afterwards each module has its mode back. Bands begin a new trajectory.
    """
    networks = list(networks_of(denoiser))
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for module, _ in modes:
        module.training = False
    restart_bands(denoiser)
    try:
        with weights_prepared(networks):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def restart_bands(denoiser: LabelledDenoiser) -> None:
    """Networks in displaced bands begin a new trajectory."""
    for network in networks_of(denoiser):
        for module in network.modules():
            if isinstance(module, BandedDenoiser):
                module.restart()
