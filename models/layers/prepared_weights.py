"""Weights that are normalised once for many evaluations, while nobody changes them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from models.layers.magnitude_preserving import MPConv


@contextmanager
def weights_prepared(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, each layer normalises its weight once for each adapter that acts, and keeps it.

    The numbers are the same bit for bit; weights are held twice meanwhile. Weights, adapters and
    gains must not change inside, and carry no gradient. Contexts nest: what the outer one holds
    stays.
    """
    layers = [
        module
        for network in networks
        for module in network.modules()
        if isinstance(module, MPConv) and module.prepared is None
    ]
    for layer in layers:
        layer.prepared = {}
    try:
        yield
    finally:
        for layer in layers:
            layer.prepared = None
            layer.prepared_edges = {}
