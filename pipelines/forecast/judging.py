"""How long the images of all items are judged: one small judgement, scaled to the size of a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dataset.store import ImageDataset
from evaluation.config import EvaluationConfig
from pipelines.forecast.duration import judged_samplers
from pipelines.forecast.stand_in import GREY
from pipelines.settings.schema import Params

MOST = 512
"""Random features of the timed measurement on each side, at most."""
SUBSETS = 10
"""KID is timed over so many subsets, at most."""
ROUNDS, BUDGET_S = 5, 1.0
"""Calls of each timing, and seconds after which no further call begins; the first one counts too,
since it prepares what later ones use."""
EMBEDDED = 32
"""Random images of the timed pass through the feature network."""


@dataclass(frozen=True)
class Judging:
    """What judging will take."""

    seconds: float
    n: int
    """Images on each side of a measurement; an upper bound unless `known`."""
    known: bool
    """Whether the data set is prepared, which decides n and the feature network."""


def measure_judging(params: Params, dataset: ImageDataset | None) -> Judging:
    """Time one measurement of all metrics, and some images in the feature network.

    Args:
        dataset: the prepared one; None: n is the number of generated images at most, and with
            evaluation.extractor auto the network is guessed.

    Raises ExtractorError if the feature network has no weights here.
    """
    config, items = params.evaluation, len(judged_samplers(params))
    n = config.num_images
    if dataset is not None:
        n = min(n, len(dataset.held_out_indices) // 2, len(dataset.train_indices))
    n = max(2, n)
    embed, num_features = _extractor(params, dataset)
    side = params.dataset.resolution
    channels = dataset.image_shape[0] if dataset is not None else 3
    pixels = np.random.default_rng(0).integers(0, 256, (EMBEDDED, side, side, channels), np.uint8)
    each = _seconds(lambda: embed(pixels)) / EMBEDDED
    one = _measurement(n, num_features, config)
    # The floors of all items are the same, and are measured once.
    measurements = config.floor_draws * (items + 1)
    images = items * (config.num_images + min(config.picture_images, config.num_images))
    return Judging(one * measurements + each * images, n, dataset is not None)


def _measurement(n: int, num_features: int, config: EvaluationConfig) -> float:
    """Seconds to compare n features with n others: those of fewer, scaled."""
    from evaluation.measures import MEASURES, frechet, kernel
    from evaluation.real_side import RealSide

    subsets = min(config.kid_subsets, SUBSETS)
    timed = config.model_copy(update={"kid_subsets": subsets})
    few, generator = min(n, MOST), np.random.default_rng(0)
    real, other = (
        generator.standard_normal((few, num_features), dtype=np.float32) for _ in range(2)
    )
    total = 0.0
    for function in dict.fromkeys(MEASURES.values()):
        growth = (n / few) ** 2  # distances of all pairs
        if function is kernel:
            growth = (min(n, config.kid_subset_size) / min(few, config.kid_subset_size)) ** 2
            growth *= config.kid_subsets / subsets
        elif function is frechet:
            growth = (min(n, num_features) / min(few, num_features)) ** 3  # singular values

        def call(function: Callable = function) -> object:
            return function(RealSide(real, config.k), other, 0, timed)

        total += growth * _seconds(call)
    return total


def _extractor(
    params: Params, dataset: ImageDataset | None
) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """The feature network, and its number of features."""
    from evaluation.reference import resolve_extractor
    from models.extractors.classifier import ClassifierExtractor
    from models.extractors.load import Extractor, load_extractor

    config, data = params.evaluation, params.dataset
    if dataset is not None:
        name = resolve_extractor(config, dataset)
    elif config.extractor == "auto":
        grey = data.channels == 1 or data.source in GREY or data.name in GREY
        name = "classifier" if grey else "efficientnet_lite0"
    else:
        name = config.extractor
    network: Extractor
    if name == "classifier":  # which the stage reference trains; an untrained one is as fast
        shape = (3, data.resolution, data.resolution) if dataset is None else dataset.image_shape
        network = ClassifierExtractor(shape, max(2, dataset.num_groups if dataset else 10))
    else:
        network = load_extractor(name, inception_path=config.inception_path)
    return network.features, network.num_features


def _seconds(call: Callable[[], object]) -> float:
    """The least of some calls."""
    found: list[float] = []
    while len(found) < 2 or (len(found) < ROUNDS and sum(found) < BUDGET_S):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)
