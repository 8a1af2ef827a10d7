"""Keeps what an interrupted making of a reference has done, for the next start to go on with."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import models.extractors
from foundation.atomic_files import write_text
from foundation.file_lock import LockHeld, holding
from foundation.json_hash import json_hash
from models.extractors.classifier import ClassifierExtractor, load_classifier
from models.weights import WeightsError

LIBRARIES = ("numpy", "torch", "pillow", "clean-fid")
ABOUT = "about.json"
"""File in the folder, by which pipelines.clean knows whether the work is of other data."""
CLASSIFIER, SUM = "classifier.safetensors", "classifier.sha256"


@contextmanager
def unfinished_work(
    root: Path | None,
    decides: dict[str, Any],
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Path | None]:
    """Folder below `root` for unfinished work, removed when the block ends without an error.

    Yields None, so that nothing is kept, without a root or while another process works in it.

    Args:
        decides: plain data; with the code and the libraries, all that decides the result. Work that
            was begun for anything else is in another folder.
        tell: called with a line if there is work to go on with.
    """
    if root is None:
        yield None
        return
    decides = decides | {
        "code": code_hashes(),
        "libraries": [version(name) for name in LIBRARIES],
    }
    folder = Path(root) / f"reference-{json_hash(decides)[:16]}"
    try:
        with holding(folder.with_name(f"{folder.name}.lock")):
            if any(path.name != ABOUT for path in folder.glob("*")):
                tell("going on with what an interrupted start has made")
            write_text(folder / ABOUT, json.dumps({"dataset": decides.get("dataset")}) + "\n")
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
    except LockHeld as held:
        tell(f"{held} makes the same reference; this start does not wait for it")
        yield None


def code_hashes() -> dict[str, str]:
    """Hash of each file that decides a feature or the classifier."""
    here = Path(__file__).parents[1]
    files = [here / "classifier.py", here / "features.py"]
    files += sorted(Path(str(models.extractors.__file__)).parent.glob("*.py"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def kept_classifier(folder: Path | None) -> ClassifierExtractor | None:
    """The classifier that `keep_classifier` kept; None if there is none, or not the whole of it."""
    if folder is None:
        return None
    try:
        found = load_classifier(folder / CLASSIFIER)
        return found if (folder / SUM).read_text() == found.sha256() else None
    except (OSError, UnicodeDecodeError, WeightsError):
        return None  # it is trained anew


def keep_classifier(folder: Path | None, classifier: ClassifierExtractor) -> None:
    """Keep a trained classifier in the folder, with the checksum of its weights."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        classifier.save(folder / CLASSIFIER)
        write_text(folder / SUM, classifier.sha256())
