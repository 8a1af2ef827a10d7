"""One unit of the study: images in bands, judged, and compared with those of whole images."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.store import ImageDataset
from evaluation.reference import load_reference
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from models.weights import file_hash
from pipelines.settings.schema import Params
from sampling.bands_config import BandsConfig
from sampling.config import SamplerConfig
from studies.judged_images import judged_images

SAMPLERS = {
    8: SamplerConfig(solver="unipc", solver_options={"order": 2}, grid="log_snr", steps=8),
    18: SamplerConfig(solver="unipc", solver_options={"order": 2}, grid="log_snr", steps=18),
    35: SamplerConfig(solver="heun", grid="karras", steps=18),
}
"""{evaluations: sampler}."""
METRICS = ("kid", "fd", "recall", "coverage")


@dataclass(frozen=True)
class Given:
    """What all units share."""

    params: Params
    weights: Path
    dataset: Path
    reference: Path
    rows: Path
    work: Path
    """Folder of the images drawn whole, with which others are compared."""
    images: int


@dataclass(frozen=True)
class Unit:
    """A sampler, its bands and the seed of its images."""

    evaluations: int
    seed: int
    count: int = 1
    """Bands; 1: whole images."""
    warm_up: int = 0

    @property
    def name(self) -> str:
        """Of its row."""
        bands = f"-{self.count}bands-{self.warm_up}" if self.count > 1 else "-whole"
        return f"{self.evaluations}{bands}-{self.seed}"

    def sampler(self) -> SamplerConfig:
        """As it draws."""
        sampler = SAMPLERS[self.evaluations]
        if self.count == 1:
            return sampler
        bands = BandsConfig(count=self.count, warm_up=self.warm_up)
        return sampler.model_copy(update={"bands": bands})


def run_unit(given: Given, unit: Unit) -> None:
    """Draw and judge the unit and keep its row, unless it stands."""
    path = given.rows / f"{unit.name}.json"
    mark = fingerprint(given, unit)
    if path.exists() and read_object(path).get("fingerprint") == mark:
        return
    print(f"bands: {unit.name}", flush=True)
    pixels, metrics = _drawn(given, unit)
    whole = pixels if unit.count == 1 else whole_images(given, unit)
    row = {
        "evaluations": unit.evaluations,
        "count": unit.count,
        "warm_up": unit.warm_up,
        "seed": unit.seed,
        "fingerprint": mark,
        "metrics": {name: metrics[name] for name in METRICS},
        "rms_from_whole": rms(pixels, whole),
        "seam_ratio": seam_ratio(pixels, whole, unit.count),
    }
    write_text(path, json.dumps(row, indent=1) + "\n")


def fingerprint(given: Given, unit: Unit) -> str:
    """Hash of a unit's settings and inputs; the code is not part of it."""
    facts = {
        "sampler": unit.sampler().model_dump(mode="json"),
        "seed": unit.seed,
        "weights": file_hash(given.weights),
        "dataset": ImageDataset(given.dataset).content_hash,
        "reference": file_hash(given.reference / "reference.json"),
        "images": given.images,
    }
    return json_hash(facts)[:16]


def whole_images(given: Given, unit: Unit) -> np.ndarray:
    """The images of the unit's sampler and seed without bands, kept in the work folder."""
    whole = Unit(unit.evaluations, unit.seed)
    path = given.work / f"{whole.name}-{fingerprint(given, whole)}.npy"
    if not path.exists():
        _drawn(given, whole)
    return np.load(path)


def _drawn(given: Given, unit: Unit) -> tuple[np.ndarray, dict[str, dict]]:
    config = given.params.evaluation.model_copy(update={"num_images": given.images})
    pixels, metrics = judged_images(
        given.weights,
        unit.sampler(),
        ImageDataset(given.dataset),
        load_reference(given.reference),
        config,
        given.work / "floors",
        seed=unit.seed,
    )
    if unit.count == 1:
        given.work.mkdir(parents=True, exist_ok=True)
        np.save(given.work / f"{unit.name}-{fingerprint(given, unit)}.npy", pixels)
    return pixels, metrics


def rms(pixels: np.ndarray, others: np.ndarray) -> float:
    """Root mean square difference of two sets of pictures uint8, in steps of 255."""
    return float(np.sqrt(np.mean(np.square(pixels.astype(np.float64) - others))))


def seam_ratio(pixels: np.ndarray, whole: np.ndarray, count: int) -> float:
    """Mean difference of rows [N, H, W, C] across the edges of bands, over that of whole images.

    1 where bands leave no seam; of the same places, since neighbouring rows differ more in some.
    """
    if count == 1:
        return 1.0
    edges = np.arange(1, count) * (pixels.shape[1] // count) - 1
    steps, others = (
        np.abs(np.diff(one.astype(np.float64), axis=1)[:, edges]).mean() for one in (pixels, whole)
    )
    return float(steps / others)
