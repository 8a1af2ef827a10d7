"""Trains the predictor of an attribute from a data set's labelled images, and saves it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset.classes import numbered
from dataset.store import ImageDataset
from models.attribute_predictor import save_attribute_predictor
from models.denoiser import Denoiser
from models.weights import tensors_hash
from training.attributes.bank import unlabelled_images
from training.attributes.config import AttributeConfig
from training.attributes.labelled_images import labelled_rows
from training.attributes.predictor import Fitted, fit
from training.config import NoiseConfig


@dataclass(frozen=True)
class Trained:
    """A predictor of one denoiser, with what a reader should know of its training."""

    fitted: Fitted
    denoiser: str
    """Hash of the denoiser's weights."""
    facts: dict[str, Any]
    shares: dict[str, float]
    """Of the values among the labelled images."""
    covered: float = 1.0
    """Share of all training images that have one of the values."""

    def save(self, path: Path) -> None:
        """Write the weights, and their JSON last."""
        path.parent.mkdir(parents=True, exist_ok=True)
        save_attribute_predictor(path, self.fitted.predictor, self.denoiser, self.facts)

    def told(self) -> str:
        """ "200 training images (Sneaker 88%, Ankle boot 12%), a bank of 2,048 unlabelled ones"."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        bank = f", a bank of {self.facts['bank']:,} unlabelled ones" if self.facts["bank"] else ""
        return f"{self.facts['images']} training images ({shares}){bank}"

    def lines(self) -> Iterator[str]:
        """A table of how well it does in each range of noise levels."""
        yield "noise levels (sigma)  cross-entropy (nats)  right, of images kept back"
        for (low, high), entropy, right in self.fitted.ranges():
            yield f"{low:8.3f} to {high:6.3f}  {entropy:20.3f}  {right:8.0%}"
        if self.covered < 0.995:
            yield (
                f"note: {self.covered:.0%} of the training images have one of these values, and "
                "guidance takes every image for one that has: name all values, or use a denoiser "
                "of these classes alone"
            )


def train_predictor(
    denoiser: Denoiser,
    dataset: ImageDataset,
    config: AttributeConfig,
    noise: NoiseConfig,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train the predictor of an attribute for one denoiser. seed: of the images and their noise.

    Raises DatasetError where the images have no classes, ValueError for a value of another name or
    one with fewer than two images.
    """
    rows, values, names = labelled_rows(dataset, config.values, config.images, seed)
    images = denoiser.codec.encode(dataset.stored(rows)[0])
    of_all = numbered(dataset, names, "no attribute can be learned from them")[1]
    train = dataset.train_indices
    candidates = train[of_all[train] >= 0]
    unlabelled = unlabelled_images(denoiser, dataset, candidates, rows, config.bank, seed)
    fitted = fit(
        denoiser,
        images,
        values,
        names,
        noise,
        seed=seed,
        layers=config.layers,
        steps=config.steps,
        unlabelled=unlabelled,
        progress=progress,
    )
    facts = {
        "images": len(rows),
        "steps": config.steps,
        "seed": seed,
        "bank": 0 if unlabelled is None else len(unlabelled),
        "dataset_hash": dataset.content_hash,
        "cross_entropy": fitted.cross_entropy,
        "accuracy": fitted.accuracy,
    }
    shares = np.bincount(values.numpy(), minlength=len(names)) / len(rows)
    named = dict(zip(names, shares.tolist(), strict=True))
    covered = len(candidates) / len(train)
    return Trained(fitted, tensors_hash(denoiser.state_dict()), facts, named, covered)
