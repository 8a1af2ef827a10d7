"""Levels that took long to find, kept in memory and in a folder."""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash

_found: dict[str, np.ndarray] = {}


def kept_levels(
    facts: Any, count: int, search: Callable[[], np.ndarray], cache_dir: Path | None = None
) -> np.ndarray:
    """The `count` levels above 0 that `search` finds, float64 [count], found once.

    facts: JSON-able, all that decides the result. Results are kept in memory and, if given, in the
    folder `cache_dir`, where one process searches and others that want the same grid wait.
    """
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]

    def once() -> np.ndarray:
        if key not in _found:
            _found[key] = search()
        return _found[key]

    if cache_dir is None:
        return once().copy()
    file = Path(cache_dir) / f"{key}.json"
    levels = _read(file, count)
    if levels is None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_name(f".{key}.lock")):
                levels = _read(file, count)  # another process may have found it meanwhile
                if levels is None:
                    levels = once()
                    found = levels.tolist()
                    content = {"sigmas": found, "sha256": json_hash(found)}
                    write_text(file, json.dumps(content))
        except OSError as error:
            warnings.warn(f"the time grid is not kept for the next time: {error}")
            levels = once()
    _found[key] = levels
    return levels.copy()


def _read(file: Path, count: int) -> np.ndarray | None:
    """The levels that were kept in a file; None if it is missing or damaged."""
    try:
        found = read_object(file)
        if found["sha256"] != json_hash(found["sigmas"]):
            return None
        levels = np.asarray(found["sigmas"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = levels.shape == (count,) and levels.dtype == np.float64
    return levels if fits and (np.diff(levels) < 0).all() and levels[-1] > 0 else None
