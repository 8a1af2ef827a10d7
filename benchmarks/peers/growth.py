"""How our work grows: seconds at 1, 4 and 16 times the size, and the exponent between them.

The exponent is the slope of the line of least squares through the logarithms. The aim is what the
algorithm should have, and a tenth more: 1 for what is done for each item, 0 for what should not
depend on the size, 2 for all pairs.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.peers.batches import our_batches, sparse_images
from benchmarks.peers.networks import SHAPE, our_network
from benchmarks.peers.optional import Way
from benchmarks.peers.our_training import made_up_images, our_step, settings_of
from benchmarks.side_by_side import Row, side_by_side
from evaluation.frechet import feature_statistics, frechet_distance
from evaluation.manifold import structure_metrics
from models.config import ModelConfig
from models.neighbours import nearest_in
from models.power_ema import PowerEMA
from sampling.config import SamplerConfig
from sampling.generate import generate
from training.run_settings import RunSettings

TIMES, ROUNDS = (1, 4, 16), 5
SLACK = 0.1
"""An exponent may be so far above the one that is expected."""
SMALL = ModelConfig(
    channels=16,
    channel_mult=(1, 2),
    blocks=1,
    attention_resolutions=(16,),
    structural_blocks=(),
    class_conditional=False,
)
FEATURES, K = 256, 5
BASE = {
    "step": 2,
    "images": 2,
    "averages": 8,
    "pairs": 500,
    "bank": 4000,
    "frechet": 64,
    "batches": 62_500,
}
"""The size at 1."""


def rows() -> Iterator[Row]:
    """A row for each kind of work: the exponent, with the seconds at each size."""
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as name:
        dataset = made_up_images(Path(name) / "images")
        kinds: dict[str, tuple[str, float, Callable[[int], Way]]] = {
            "step": ("a training step, by the batch", 1, lambda n: our_step(_settings(n), dataset)),
            "images": ("images drawn, by their number", 1, _drawing),
            "averages": ("averages, by the channels", 2, _averages),
            "pairs": ("precision to coverage, by images a side", 2, lambda n: _pairs(rng, n)),
            "bank": ("64 queries, by the bank", 1, _queries),
            "frechet": ("Frechet distance, by features", 3, lambda n: _frechet(rng, n)),
            "batches": ("a batch from the memory map, by images", 0, lambda n: _map(name, n)),
        }
        for kind, (what, expected, make) in kinds.items():
            yield row_of(what, [BASE[kind] * times for times in TIMES], expected, make)


def row_of(what: str, sizes: Sequence[int], expected: float, make: Callable[[int], Way]) -> Row:
    """The row of the exponent of work that `make` makes for each size."""
    taken = side_by_side({str(size): make(size) for size in sizes}, ROUNDS)
    seconds = [statistics.median(found) for found in taken.values()]
    told = ", ".join(f"{n:,}: {s:.3g} s" for n, s in zip(sizes, seconds, strict=True))
    return Row(what, exponent(sizes, seconds), aim=expected + SLACK, note=told, unit="")


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The power of the size that seconds grow by."""
    logs = [[math.log(value) for value in values] for values in (sizes, seconds)]
    return statistics.linear_regression(*logs).slope


def _settings(batch: int) -> RunSettings:
    return settings_of(SMALL, batch)


def _drawing(count: int) -> Way:
    network, sampler = our_network(SMALL), SamplerConfig(steps=3)
    return lambda: generate(network, sampler, 0, range(count), batch_size=BASE["images"])


def _averages(channels: int) -> Way:
    network = our_network(SMALL.model_copy(update={"channels": channels, "channels_per_head": 8}))
    averages = PowerEMA(network.named_parameters(), (0.05, 0.10))
    return lambda: averages.update(1000, 100)


def _pairs(rng: np.random.Generator, count: int) -> Way:
    real, generated = (rng.normal(size=(count, FEATURES)).astype(np.float32) for _ in range(2))
    return lambda: structure_metrics(real, generated, K)


def _queries(count: int) -> Way:
    generator = torch.Generator().manual_seed(0)
    bank, queries = (torch.randn(n, FEATURES, generator=generator) for n in (count, 64))
    return lambda: nearest_in(queries, bank, K)


def _frechet(rng: np.random.Generator, features: int) -> Way:
    both = (rng.normal(size=(2 * features, features)) for _ in range(2))
    parts = [part for one in both for part in feature_statistics(one)]
    return lambda: frechet_distance(*parts)


def _map(folder: str, count: int) -> Way:
    dataset = sparse_images(Path(folder) / f"map-{count}", count, SHAPE[1])
    return our_batches(_settings(16), dataset)
