"""Floors of a reference, kept in a file: they are the same whatever is judged."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from evaluation.config import EvaluationConfig
from evaluation.floors import Drawn
from foundation.atomic_files import replacing
from foundation.json_hash import json_hash

LIBRARIES = ("numpy", "scipy", "torch")


class RealFeatures(Protocol):
    """What of a reference decides its floors."""

    @property
    def manifest(self) -> dict: ...
    @property
    def held_out_features(self) -> np.ndarray: ...
    @property
    def train_mean(self) -> np.ndarray: ...
    @property
    def train_cov(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Floors:
    """What the draws of one reference, size and seed give, whatever is judged."""

    drawn: Drawn
    """Of n train against n held-out features: name -> float64 [draws]."""
    distances: np.ndarray
    """float64 [draws, n, k]: `neighbour_distances` of the held-out features of each draw."""


def floors_file(
    folder: Path, reference: RealFeatures, config: EvaluationConfig, n: int, seed: int
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
        "code": _code_hashes(),
        "libraries": [version(name) for name in LIBRARIES],
    }
    return Path(folder) / f"{json_hash(decides)[:32]}.npz"


def read_floors(path: Path) -> Floors | None:
    """What `write_floors` wrote; None if there is no such file, or not the whole of it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in stored.files}
        if parts.pop("digest").tobytes() != _digest(parts):
            return None
        return Floors(distances=parts.pop("distances"), drawn=parts)
    except (OSError, EOFError, KeyError, RuntimeError, ValueError, BadZipFile):
        return None  # the floors are measured anew, and written over it


def write_floors(path: Path, floors: Floors) -> None:
    """The file appears whole or not at all, so several processes may write the same floors.

    Where it cannot be written, a warning says so: the floors are then measured for each item.
    """
    parts: dict[str, Any] = {"distances": floors.distances, **floors.drawn}
    parts["digest"] = np.frombuffer(_digest(parts), np.uint8)
    try:
        with replacing(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **parts)
    except OSError as error:
        warnings.warn(f"the floors of the metrics are not kept for the next item: {error}")


def _digest(parts: dict[str, np.ndarray]) -> bytes:
    text = json.dumps([(name, _hash_of(parts[name])) for name in sorted(parts)])
    return hashlib.sha256(text.encode()).digest()


def _hash_of(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    for start in range(0, len(array), 4096):
        digest.update(np.ascontiguousarray(array[start : start + 4096]).tobytes())
    return digest.hexdigest()


def _code_hashes() -> dict[str, str]:
    """Hash of each file of evaluation/, for metrics may be added in any of them."""
    files = sorted(Path(__file__).parents[1].glob("*.py"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
