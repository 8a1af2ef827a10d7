"""Find a path of params.yaml among the folders that it may be relative to."""

from collections.abc import Sequence
from pathlib import Path

from dataset.errors import DatasetError


def locate(path: str, roots: Sequence[Path]) -> Path:
    """The first existing file or folder `path`, `~` expanded, relative ones tried in each root."""
    candidates = places(path, roots)
    for candidate in candidates:
        try:
            if candidate.exists():
                return candidate
        except OSError as error:  # a folder above it that may not be entered
            raise DatasetError(
                f"dataset.path: {candidate.absolute()} cannot be looked at ({error.strerror}): "
                "mend it, or correct the path in params.yaml"
            ) from None
    looked_in = ", ".join(dict.fromkeys(str(candidate.absolute()) for candidate in candidates))
    raise DatasetError(f"dataset.path: {looked_in} does not exist: correct the path in params.yaml")


def places(path: str, roots: Sequence[Path]) -> list[Path]:
    """`path` in each root, `~` expanded; an absolute path stays as it is."""
    try:
        return [root / Path(path).expanduser() for root in roots]
    except RuntimeError:  # of a user that the system does not know
        raise DatasetError(
            f"dataset: {path} begins with a home folder that is not known: write the path in full"
        ) from None
