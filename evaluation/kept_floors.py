"""Floors of a reference, kept in a file: they are the same for everything that is judged by it."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from evaluation.config import EvaluationConfig
from evaluation.floors import Drawn
from evaluation.reference import Reference
from foundation.atomic_files import replacing

MEASURED_BY = (
    "evaluation.floors",
    "evaluation.frechet",
    "evaluation.kept_floors",
    "evaluation.kid",
    "evaluation.manifold",
    "evaluation.measure",
)
"""Modules whose code decides the numbers (a test compares them with what is imported)."""
LIBRARIES = ("numpy", "scipy", "torch")


@dataclass(frozen=True)
class Floors:
    """What the draws of one reference, size and seed give, whatever is judged."""

    drawn: Drawn
    """Of n train against n held-out features: name -> float64 [draws]."""
    distances: np.ndarray
    """float64 [draws, n, k]: `neighbour_distances` of the held-out features of each draw."""


def floors_file(
    folder: Path, reference: Reference, config: EvaluationConfig, n: int, seed: int
) -> Path:
    """The file in `folder` for these floors; its name is a hash of all that decides them."""
    decides = {
        "manifest": reference.manifest,
        "features": [
            _hash_of(part)
            for part in (
                reference.held_out_features,
                reference.train_mean,  # the train features are many; these are made of all of them
                reference.train_cov,
            )
        ],
        "n": n,
        "draws": config.floor_draws,
        "seed": seed,
        "k": config.k,
        "kid": [config.kid_subsets, config.kid_subset_size],
        "code": [_code_hash(name) for name in MEASURED_BY],
        "libraries": [version(name) for name in LIBRARIES],
    }
    text = json.dumps(decides, sort_keys=True)
    return Path(folder) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def read_floors(path: Path) -> Floors | None:
    """What `write_floors` wrote; None where there is no such file, or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in stored.files}
        distances = parts.pop("distances")
        if not parts or any(part.shape != distances.shape[:1] for part in parts.values()):
            return None
        return Floors(parts, distances)
    except (OSError, EOFError, KeyError, RuntimeError, ValueError, BadZipFile):
        return None  # the floors are measured anew, and written over it


def write_floors(path: Path, floors: Floors) -> None:
    """Appears whole or not at all, so several processes may write the same floors."""
    parts: dict[str, Any] = {"distances": floors.distances, **floors.drawn}
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **parts)


def _hash_of(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    for start in range(0, len(array), 4096):
        digest.update(np.ascontiguousarray(array[start : start + 4096]).tobytes())
    return digest.hexdigest()


def _code_hash(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
