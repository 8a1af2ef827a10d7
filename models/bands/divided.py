"""Layers of a network that work on bands of images while a context lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.backbones.base import Backbone
from models.layers.attention import CosineAttention
from models.layers.exchange import Exchange, Overlapping
from models.layers.graph_conv import GraphConv
from models.layers.magnitude_preserving import MPConv

Exchanging = MPConv | CosineAttention | GraphConv
"""Layers that need more of an image than a band of it."""


def check_blocks(unet: Backbone) -> None:
    """Raise ValueError for a block at the bottleneck that bands do not know.

    One that works on each token alone says so by an attribute `in_bands = True`.
    """
    for block in unet.structure:
        if not isinstance(block, Exchanging) and not getattr(block, "in_bands", False):
            raise ValueError(
                f"bands do not know the block {type(block).__name__} of model.structural_blocks, "
                "which may relate rows of an image: leave bands out"
            )


@contextmanager
def divided(unet: Backbone, exchange: Exchange) -> Iterator[None]:
    """Inside, the network takes bands with a row of their neighbours, and gives bands.

    Its layers exchange the rest. All other layers work on each pixel, or on 2x2 pixels, alone.
    """
    layers = [layer for layer in unet.modules() if isinstance(layer, Exchanging)]
    for layer in layers:
        layer.exchange = exchange
    unet.input.exchange = Overlapping(exchange)
    try:
        yield
    finally:
        for layer in layers:
            layer.exchange = None
