"""What the study samples from: exact mixtures and trained models, each with its noise and judge."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.frechet import frechet_from_features
from evaluation.kid import kernel_distance
from evaluation.reference import Reference, load_reference
from models.analytic import GaussianMixtureDenoiser
from models.codecs import Codec
from models.denoiser import load_denoiser
from sampling.guidance.base import LabelledDenoiser, bind_labels
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import solve
from studies.labels import dataset_beside, study_labels
from studies.sampling.report import PARTS


@dataclass
class Subject:
    """A denoiser and the noise from which all runs on it start."""

    name: str
    denoiser: LabelledDenoiser
    noise: Tensor
    labels: Tensor | None = None
    judge: Callable[[Tensor], dict[str, float]] | None = None
    batch: int = 256
    floor: dict[str, float] = field(default_factory=dict)

    def run(self, solver: str, options: dict, sigmas: Tensor) -> Tensor:
        """Images [N, C, H, W] from all of the noise."""
        parts = []
        for start in range(0, len(self.noise), self.batch):
            chosen = slice(start, start + self.batch)
            labels = None if self.labels is None else self.labels[chosen]
            denoise = bind_labels(self.denoiser, labels)
            with torch.no_grad():
                parts.append(solve(solver, denoise, self.noise[chosen], sigmas, **options))
        return torch.cat(parts)


def mixtures(images: int) -> Iterator[Subject]:
    """Subjects with exact denoisers: Gaussian mixtures in 2 and 64 dimensions."""
    settings = {  # dimensions, components, deviation of their means, deviation of each
        "2-D, 8 narrow": (2, 8, 0.5, 0.05),
        "2-D, 3 wide": (2, 3, 0.7, 0.2),
        "64-D, 20 wide": (64, 20, 0.4, 0.15),
        "64-D, 40 narrow": (64, 40, 0.5, 0.05),
    }
    for number, (name, (size, components, apart, std)) in enumerate(settings.items()):
        generator = torch.Generator().manual_seed(number)
        means = torch.randn(components, 1, 1, size, generator=generator, dtype=torch.float64)
        denoiser = GaussianMixtureDenoiser(apart * means, std)
        noise = image_noise(image_generators(0, range(images)), denoiser.image_shape, torch.float64)
        yield Subject(name, denoiser, noise)


def trained(
    path: Path,
    reference: Path | None,
    images: int,
    seed: int,
    name: str | None = None,
    inception_path: str | None = None,
    dataset: Path | None = None,
) -> Subject:
    """The subject of a trained model, with labels as in its data set.

    reference: folder; with it the images are judged by KID and FD. dataset: folder of the data set,
    by default beside the reference.
    """
    denoiser = load_denoiser(path)
    noise = image_noise(image_generators(seed, range(images)), denoiser.image_shape)
    real = None if reference is None else load_reference(reference, inception_path)
    rows = None if real is None else real.train_indices
    labels = study_labels(denoiser, dataset or dataset_beside(reference), seed, images, rows)
    subject = Subject(name or f"{path.parent.name}/{path.stem}", denoiser, noise, labels)
    if real is not None:
        subject.judge = partial(_judge, real, denoiser.codec)
        sample = np.random.default_rng(seed).permutation(len(real.train_features))[:images]
        subject.floor = _distances(real, real.train_features[sample])  # in random order
    return subject


def _judge(reference: Reference, codec: Codec, images: Tensor) -> dict[str, float]:
    return _distances(reference, reference.extractor.features(codec.decode(images), 256))


def _distances(reference: Reference, features: np.ndarray) -> dict[str, float]:
    """FD and KID against the held-out features; KID also of parts, for errors of differences."""
    real = reference.held_out_features
    parts = [
        kernel_distance(real, part, seed=number)["value"]
        for number, part in enumerate(np.array_split(features, PARTS))
    ]
    fd = frechet_from_features(real, features)
    return {"kid": float(np.mean(parts)), "fd": fd} | {
        f"kid_{number}": part for number, part in enumerate(parts, start=1)
    }
