"""A quick judgement of a training under way: a few hundred images of fixed seeds.

The same seeds, labels, sampler, reference and held-out noise at every call and in every trial, so
that differences come from the weights alone.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset.store import ImageDataset
from evaluation.classifier import classifier_accuracy
from evaluation.floors import floor_means
from evaluation.frechet import frechet_from_features
from evaluation.kid import kernel_distance
from evaluation.manifold import neighbour_distances, structure_metrics
from evaluation.metric_table import objective, shown
from evaluation.reference import Reference, load_reference
from foundation.workers import World
from models.codecs import make_codec
from models.denoiser import load_denoiser
from sampling.config import SamplerConfig
from sampling.from_weights import generate_pictures
from sampling.labels import generation_labels
from sampling.request import GenerationRequest
from training.held_out import HeldOutLoss
from training.run_settings import RunSettings

FLOOR_DRAWS = 8
"""Random sets of train images behind each floor."""


@dataclass(frozen=True)
class QuickEvaluation:
    """Plain data and absolute paths, so that it travels to any worker."""

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
    """RunSettings as JSON; its noise decides at which levels the held-out loss is taken."""
    basis: str = ""
    """Hash of the reference and of the code that judges a trial (judging_basis.py): what was kept
    on another one is stale."""
    grid_cache: str | None = None
    """Folder in which optimized time grids are kept."""

    def measure(self, weights: Path, sampler: SamplerConfig) -> dict[str, float]:
        """What a trial reports of a snapshot's weights (reported_by_trials), and `evaluation_s`.

        KID draws its subsets from all held-out images; the others take as many as are generated.
        A metric that is best near its floor comes with its distance from there.
        """
        start = time.monotonic()
        device = World.current().device
        denoiser = load_denoiser(weights, device)
        dataset, reference, held_out = _material(self, json.dumps(denoiser.codec.describe()))
        conditional = denoiser.num_classes > 0
        labels = generation_labels(dataset, self.seed, self.num_images, conditional=conditional)
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
        some, distances = _some_held_out(self, n)
        out = {
            "kid": kernel_distance(real, features, subset_size=min(100, n))["value"],
            "fd": frechet_from_features(some, features[:n]),
        }
        local = structure_metrics(some, features[:n], self.k, distances)
        out |= {name: float(local[name]) for name in shown("sweep") if name in local}
        for name, floor in _floors(self, n).items():
            out[objective(name)] = abs(out[name] - floor)
        if reference.classifier is not None and (labels >= 0).any():
            accuracy = classifier_accuracy(
                reference.classifier, images, labels, np.arange(len(images))
            )
            out["conditional_accuracy"] = float("nan") if accuracy is None else accuracy
        out |= {k: v for k, v in held_out.measure(denoiser)[0].items() if k in shown("sweep")}
        return {k: float(v) for k, v in out.items()} | {"evaluation_s": time.monotonic() - start}


@lru_cache(maxsize=1)
def _material(
    evaluation: QuickEvaluation, codec: str
) -> tuple[ImageDataset, Reference, HeldOutLoss]:
    """What stays the same from call to call in one process. codec: its description as JSON."""
    dataset = ImageDataset(Path(evaluation.dataset))
    reference = _reference(evaluation)
    settings = RunSettings.model_validate_json(evaluation.settings)
    alone = World(device=World.current().device)
    return dataset, reference, HeldOutLoss(settings, dataset, make_codec(json.loads(codec)), alone)


@lru_cache(maxsize=1)
def _reference(evaluation: QuickEvaluation) -> Reference:
    return load_reference(Path(evaluation.reference), evaluation.inception_path)


@lru_cache(maxsize=1)
def _some_held_out(evaluation: QuickEvaluation, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n held-out features [n, F] that every judgement takes, and their neighbour distances."""
    real = np.asarray(_reference(evaluation).held_out_features)
    some = real[np.sort(np.random.default_rng(0).choice(len(real), n, replace=False))]
    return some, neighbour_distances(some, evaluation.k)


@lru_cache(maxsize=1)
def _floors(evaluation: QuickEvaluation, n: int) -> dict[str, float]:
    """Floor of each metric that is best near it: n train images against the n held-out ones.

    The reference, n and k alone decide it, so all trials of a sweep face the same floors.
    """
    held_out, distances = _some_held_out(evaluation, n)

    def measure(real: np.ndarray, other: np.ndarray, seed: int) -> dict[str, float]:
        found = structure_metrics(real, other, evaluation.k, distances)
        return {name: found[name] for name in shown("sweep") if objective(name) != name}

    train = _reference(evaluation).train_features
    return floor_means(measure, train, held_out, FLOOR_DRAWS, seed=0)
