"""Judges a training while it runs by a few hundred images.

Seeds, labels, sampler, reference and held-out noise are the same at every call and in every trial,
so differences come from the weights alone.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset.latents import open_dataset
from dataset.store import ImageDataset
from evaluation.classifier import classifier_accuracy
from evaluation.config import EvaluationConfig
from evaluation.floors import floor_means
from evaluation.kid import kernel_distance
from evaluation.measures import MEASURES, measure
from evaluation.metric_table import shown
from evaluation.real_side import RealSide
from evaluation.reference import Reference, load_reference
from foundation.workers import World
from models.codecs import make_codec
from models.denoiser import load_denoiser
from pipelines.sweeps.objectives import objective
from sampling.config import SamplerConfig
from sampling.from_weights import generate_pictures
from sampling.labels import generation_labels
from sampling.request import GenerationRequest
from training.held_out import HeldOutLoss
from training.run_settings import RunSettings

FLOOR_DRAWS = 8
"""Number of random sets of train images over which a floor is averaged."""


@dataclass(frozen=True)
class QuickEvaluation:
    """How trials are judged; plain data and absolute paths, to be sent to workers."""

    dataset: str
    """Folder of the prepared images."""
    reference: str
    """Folder of the reference features."""
    inception_path: str | None
    seed: int
    num_images: int
    batch_size: int
    k: int
    settings: str
    """RunSettings as JSON; held-out loss is measured at the noise levels that they name."""
    basis: str = ""
    """Hash of the reference and of the code that judges a trial (judging_basis.py). A result that
    was kept with another hash is not used."""
    latents: str | None = None
    """Folder of the data set's latents; None: denoisers see its pixels."""
    grid_cache: str | None = None
    """Folder in which optimized time grids are kept."""
    held_out_loss: bool = True
    """Whether the held-out denoising loss is measured; a student has none."""

    def measure(self, weights: Path, sampler: SamplerConfig) -> dict[str, float]:
        """The metrics of a snapshot's weights (reported_by_trials), and `evaluation_s` in seconds.

        KID draws its subsets from all held-out images; other metrics use as many of them as images
        are generated. For a metric that is best near its floor, its distance from the floor is
        given too.
        """
        start = time.monotonic()
        device = World.current().device
        denoiser = load_denoiser(weights, device)
        dataset, reference, held_out = _material(self, json.dumps(denoiser.codec.describe()))
        conditional = denoiser.num_classes > 0
        labels = generation_labels(
            dataset,
            self.seed,
            self.num_images,
            conditional=conditional,
            images=reference.train_indices,
        )
        request = GenerationRequest(
            sampler=sampler,
            seed=self.seed,
            indices=range(self.num_images),
            labels=labels,
            batch_size=self.batch_size,
            weights=str(weights),
            cache_dir=self.grid_cache,
        )
        images = generate_pictures(denoiser, request)
        features = reference.extractor.features(images, self.batch_size)
        real = np.asarray(reference.held_out_features)
        n = min(len(real), len(features), len(reference.train_features))
        some = _some_held_out(self, n)
        out = {"kid": kernel_distance(real, features, subset_size=min(100, n))["value"]}
        found = measure(some, features[:n], 0, EvaluationConfig(k=self.k), _measured())
        out |= {name: found[name] for name in _measured()}
        for name, floor in _floors(self, n).items():
            out[objective(name)] = abs(out[name] - floor)
        groups = dataset.groups_of(labels)
        if reference.classifier is not None and (groups >= 0).any():
            accuracy = classifier_accuracy(
                reference.classifier, images, groups, np.arange(len(images))
            )
            out["conditional_accuracy"] = float("nan") if accuracy is None else accuracy
        if self.held_out_loss:
            losses = held_out.measure(denoiser)[0]
            out |= {k: v for k, v in losses.items() if k in shown("sweep")}
        return {k: float(v) for k, v in out.items()} | {"evaluation_s": time.monotonic() - start}


def _measured() -> list[str]:
    """Metrics that trials report of as many held-out as generated images."""
    return [name for name in shown("sweep") if name in MEASURES and name != "kid"]


@lru_cache(maxsize=1)
def _material(
    evaluation: QuickEvaluation, codec: str
) -> tuple[ImageDataset, Reference, HeldOutLoss]:
    """What is the same at every call in one process. codec: its description as JSON."""
    dataset = open_dataset(evaluation.dataset, evaluation.latents)
    reference = _reference(evaluation)
    settings = RunSettings.model_validate_json(evaluation.settings)
    alone = World(device=World.current().device)
    return dataset, reference, HeldOutLoss(settings, dataset, make_codec(json.loads(codec)), alone)


@lru_cache(maxsize=1)
def _reference(evaluation: QuickEvaluation) -> Reference:
    return load_reference(Path(evaluation.reference), evaluation.inception_path)


@lru_cache(maxsize=1)
def _some_held_out(evaluation: QuickEvaluation, n: int) -> RealSide:
    """The n held-out features that every judgement uses."""
    real = np.asarray(_reference(evaluation).held_out_features)
    some = real[np.sort(np.random.default_rng(0).choice(len(real), n, replace=False))]
    return RealSide(some, evaluation.k)


@lru_cache(maxsize=1)
def _floors(evaluation: QuickEvaluation, n: int) -> dict[str, float]:
    """Floor of each metric that is best near it: n train images against the n held-out ones.

    It depends on the reference, n and k alone, so all trials of a sweep have the same floors.
    """
    some = _some_held_out(evaluation, n)
    config = EvaluationConfig(k=evaluation.k)
    near = [name for name in _measured() if objective(name) != name]

    def near_floor(real: np.ndarray, other: np.ndarray, seed: int) -> dict[str, float]:
        found = measure(some, other, seed, config, near)
        return {name: found[name] for name in near}

    train = _reference(evaluation).train_features
    return floor_means(near_floor, train, some.features, FLOOR_DRAWS, seed=0)
