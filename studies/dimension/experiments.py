"""The experiments of the study: each draws images, measures, and returns one row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_normal
from dataset.store import ImageDataset
from evaluation.manifold import structure_metrics
from evaluation.reference import Reference
from models.denoiser import Denoiser, load_denoiser
from sampling.config import SamplerConfig
from sampling.generate import generate
from sampling.labels import generation_labels
from sampling.solvers import solve
from studies.dimension.statistics import (
    dimension_by_size,
    energy_quantiles,
    excess_distance,
    slope,
    variance_along_axes,
)

SEED = 40_000
"""Of the images that are drawn."""
CHUNK = 256
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Noise levels of the round trip."""
ROUND_TRIP = SamplerConfig(solver="heun", grid="karras", steps=12)
LONG = SamplerConfig(solver="heun", grid="karras", steps=18)
SIZES = (256, 512, 1024, 2048, 4096)
NEIGHBOURS = (4, 8, 16, 32)
GUIDED = (1.25, 1.5, 2.0)
"""Weights of autoguidance."""
LOCAL = ("recall", "coverage", "knn_two_sample")


@dataclass
class Given:
    """What all experiments share."""

    weights: Path
    dataset: ImageDataset
    reference: Reference
    sampler: SamplerConfig
    """Of the images whose dimensions are asked after."""
    images: int
    k: int
    guide: Path | None = None
    """Weights of an earlier time of the same training, which guide."""
    series: Sequence[Path] = ()
    """Weights of one training at several times."""
    progress: Callable[[str], None] = lambda text: None

    @cached_property
    def denoiser(self) -> Denoiser:
        """The network that is asked."""
        return load_denoiser(self.weights)

    @cached_property
    def held_out(self) -> np.ndarray:
        """Indices of held-out images, at most so many as are drawn."""
        every = self.dataset.held_out_indices
        return np.random.default_rng(SEED).permutation(every)[: self.images]

    @cached_property
    def real(self) -> np.ndarray:
        """Their features [n, F]."""
        return self.features(self.dataset.images[np.sort(self.held_out)])

    @cached_property
    def generated(self) -> tuple[np.ndarray, np.ndarray]:
        """(pictures, features) of the sampler."""
        pictures = self.draw(self.denoiser, self.sampler)
        return pictures, self.features(pictures)

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """[N, F], of the network that judges."""
        return self.reference.extractor.features(np.ascontiguousarray(pictures), CHUNK)

    def draw(
        self, denoiser: Denoiser, sampler: SamplerConfig, guide: Denoiser | None = None
    ) -> np.ndarray:
        """Pictures uint8 [n, H, W, C], as many as there are held-out ones."""
        count = len(self.held_out)
        labels = generation_labels(self.dataset, SEED, count, conditional=denoiser.num_classes > 0)
        drawn = generate(
            denoiser, sampler, SEED, range(count), labels, batch_size=CHUNK, guide=guide
        )
        return denoiser.codec.decode(drawn)

    def compared(self, features: np.ndarray) -> dict[str, float]:
        """Ratio of dimensions to those of the held-out images, and LOCAL."""
        found = structure_metrics(self.real, features, self.k)
        ratio = found["lid_generated"] / found["lid_real"]
        return {"ratio": ratio, **{name: found[name] for name in LOCAL}}


def round_trip(given: Given) -> dict[str, Any]:
    """E1: noise held-out images to a level, and draw back from there.

    Noise that the sampler leaves shows from the lowest level on; detail that the denoiser exchanges
    between .1 and .5; a smoothed density above.
    """
    denoiser, rows = given.denoiser, []
    stored, labels = given.dataset.stored(np.sort(given.held_out))
    if not denoiser.num_classes:
        labels = torch.full_like(labels, -1)
    clean = denoiser.codec.encode(stored)
    noise = torch.as_tensor(slot_normal(SEED, "dimension", range(len(clean)), clean.shape[1:]))
    for level in LEVELS:
        sampler = ROUND_TRIP.model_copy(update={"sigma_max": level})
        grid, parts = sampler.time_grid(), []
        for start in range(0, len(clean), CHUNK):
            some = slice(start, start + CHUNK)
            denoise = partial(_asked, denoiser, labels[some])
            noised = clean[some] / level + noise[some]
            with torch.no_grad():
                parts.append(solve(sampler.solver, denoise, noised, grid))
        found = given.compared(given.features(denoiser.codec.decode(torch.cat(parts))))
        rows.append({"level": level, **found})
        given.progress(f"E1 level {level:g}: ratio {found['ratio']:.3f}")
    return {"sampler": "heun, karras, 12 steps from each level", "rows": rows}


def _asked(denoiser: Denoiser, labels: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    return denoiser(x, sigma, labels)


def distances(given: Given) -> dict[str, Any]:
    """E2: squared distances between halves of real and generated images."""
    features = given.generated[1]
    return {"rows": [{"k": k, **excess_distance(given.real, features, k)} for k in (1, 5, 20)]}


def sizes(given: Given) -> dict[str, Any]:
    """E3: the ratio against the number of images and of neighbours."""
    rows = dimension_by_size(given.real, given.generated[1], SIZES, NEIGHBOURS, SEED)
    return {"rows": rows, "slope": slope(rows)}


def variances(given: Given) -> dict[str, Any]:
    """E4: generated over real variance along the principal axes of training images; fine detail."""
    pictures, features = given.generated
    train = np.asarray(given.reference.train_features)
    held_out = given.dataset.images[np.sort(given.held_out)]
    return {
        "rows": variance_along_axes(train, given.real, features),
        "fine_energy": energy_quantiles(held_out, pictures),
    }


def autoguidance(given: Given) -> dict[str, Any]:
    """E5: guidance by an earlier time of the same training; without a guide there is no row."""
    if given.guide is None:
        return {"rows": []}
    guide, rows = load_denoiser(given.guide), []
    for weight in (1.0, *GUIDED):
        entry = {"kind": "autoguidance", "weight": weight, "weights": str(given.guide)}
        guided = SamplerConfig.model_validate_json(
            LONG.model_copy(update={"guidance": ()}).model_dump_json()
        )
        sampler = SamplerConfig(**{**guided.model_dump(), "guidance": (entry,)})
        found = given.compared(given.features(given.draw(given.denoiser, sampler, guide)))
        rows.append({"weight": weight, **found})
        given.progress(f"E5 weight {weight:g}: ratio {found['ratio']:.3f}")
    return {"sampler": "heun, karras, 18 steps", "rows": rows}


def over_training(given: Given) -> dict[str, Any]:
    """E6: the ratio of several times of one training; none where no weights were named."""
    rows = []
    for file in given.series:
        network = load_denoiser(file)
        found = given.compared(given.features(given.draw(network, given.sampler)))
        rows.append({"weights": file.stem, **found})
        given.progress(f"E6 {file.stem}: ratio {found['ratio']:.3f}")
    return {"rows": rows}


EXPERIMENTS: dict[str, Callable[[Given], dict[str, Any]]] = {
    "E1": round_trip,
    "E2": distances,
    "E3": sizes,
    "E4": variances,
    "E5": autoguidance,
    "E6": over_training,
}
"""{name: experiment}."""
