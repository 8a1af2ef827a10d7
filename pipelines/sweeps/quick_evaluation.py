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
import torch

from dataset.store import ImageDataset
from evaluation.classifier import classifier_accuracy
from evaluation.frechet import frechet_from_features
from evaluation.kid import kernel_distance
from evaluation.manifold import structure_metrics
from evaluation.metric_table import DIRECTIONS
from evaluation.reference import Reference, load_reference
from foundation.workers import World
from models.codecs import make_codec
from models.denoiser import load_denoiser
from sampling.config import SamplerConfig
from sampling.generate import generate_batches
from sampling.labels import generation_labels
from training.held_out import HeldOutLoss
from training.run_settings import RunSettings


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

    def measure(self, weights: Path, sampler: SamplerConfig) -> dict[str, float]:
        """The metrics of DIRECTIONS for a snapshot's weights, and `evaluation_s`.

        KID draws its subsets from all held-out images; the others take as many as are generated.
        """
        start = time.monotonic()
        device = World.current().device
        denoiser = load_denoiser(weights, device)
        dataset, reference, held_out = _material(self, json.dumps(denoiser.codec.describe()))
        conditional = denoiser.num_classes > 0
        labels = generation_labels(dataset, self.seed, self.num_images, conditional=conditional)
        asked = torch.from_numpy(labels) if denoiser.num_classes else None
        batches = generate_batches(
            denoiser, sampler, self.seed, range(self.num_images), asked, self.batch_size
        )
        images = np.concatenate([denoiser.codec.decode(batch) for batch in batches])
        features = reference.extractor.features(images, self.batch_size)
        real = np.asarray(reference.held_out_features)
        n = min(len(real), len(features))
        some = real[np.sort(np.random.default_rng(0).choice(len(real), n, replace=False))]
        out = {
            "kid": kernel_distance(real, features, subset_size=min(100, n))["value"],
            "fd": frechet_from_features(some, features[:n]),
        }
        local = structure_metrics(some, features[:n], self.k)
        out |= {name: float(local[name]) for name in DIRECTIONS if name in local}
        if reference.classifier is not None and (labels >= 0).any():
            accuracy = classifier_accuracy(
                reference.classifier, images, labels, np.arange(len(images))
            )
            out["conditional_accuracy"] = float("nan") if accuracy is None else accuracy
        out |= {k: v for k, v in held_out.measure(denoiser)[0].items() if k in DIRECTIONS}
        return {k: float(v) for k, v in out.items()} | {"evaluation_s": time.monotonic() - start}


@lru_cache(maxsize=1)
def _material(
    evaluation: QuickEvaluation, codec: str
) -> tuple[ImageDataset, Reference, HeldOutLoss]:
    """What stays the same from call to call in one process. codec: its description as JSON."""
    dataset = ImageDataset(Path(evaluation.dataset))
    reference = load_reference(Path(evaluation.reference), evaluation.inception_path)
    settings = RunSettings.model_validate_json(evaluation.settings)
    alone = World(device=World.current().device)
    return dataset, reference, HeldOutLoss(settings, dataset, make_codec(json.loads(codec)), alone)
