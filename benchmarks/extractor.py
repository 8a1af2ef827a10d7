"""EfficientNet-Lite0 on a processor: memory formats and numbers of images at once."""

import copy
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.side_by_side import Row, compared, side_by_side
from models.extractors.imagenet import EfficientNetLite0

IMAGES, ROUNDS = 64, 5
ALL = "channels_last, 64 at once"
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
WAYS = (
    *(("channels_last", size) for size in (1, 2, 4, 8, 16, IMAGES)),
    *(("contiguous", size) for size in (4, IMAGES)),
)


def rows() -> Iterator[Row]:
    """A row for each memory format and batch beside 64 images at once in channels_last.

    The note has the largest difference of a feature, as a part of the largest feature.
    """
    extractor = EfficientNetLite0()
    raw = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), np.uint8)
    prepared = (extractor.prepare(raw) - 127) / 128
    networks = {
        name: copy.deepcopy(extractor.network).to(memory_format=layout)
        for name, layout in LAYOUTS.items()
    }
    ways = {
        f"{name}, {size} at once": _way(networks[name], LAYOUTS[name], prepared, size)
        for name, size in WAYS
    }
    expected = ways[ALL]()
    taken = side_by_side(ways, ROUNDS)
    for name, seconds in taken.items():
        if name != ALL:
            off = float((ways[name]() - expected).abs().max() / expected.abs().max())
            note = f"{IMAGES / statistics.median(seconds):.0f} images/s; off by {off:.0e}"
            yield compared(name, seconds, ALL, taken[ALL], note=note)


def _way(
    network: nn.Module, layout: torch.memory_format, prepared: Tensor, size: int
) -> Callable[[], Tensor]:
    """A function that gives the features of all images, `size` of them at once."""

    @torch.no_grad()
    def run() -> Tensor:
        parts = prepared.split(size)
        return torch.cat(
            [
                network.extract_features(part.contiguous(memory_format=layout)).mean(dim=(2, 3))
                for part in parts
            ]
        )

    return run
