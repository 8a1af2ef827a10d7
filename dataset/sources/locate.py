"""Find a path of params.yaml among the folders that it may be relative to."""

from collections.abc import Sequence
from pathlib import Path

from dataset.errors import DatasetError


def locate(path: str, roots: Sequence[Path]) -> Path:
    """The first existing file or folder `path`, `~` expanded, relative ones tried in each root."""
    candidates = [root / Path(path).expanduser() for root in roots]  # an absolute path stays so
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked_in = ", ".join(dict.fromkeys(str(candidate.absolute()) for candidate in candidates))
    raise DatasetError(f"dataset.path: {looked_in} does not exist: correct the path in params.yaml")
