"""Folders that stages write, and names of files and items."""

import os
from pathlib import Path

from foundation.number_names import number_name

DATASET = Path("outputs/dataset")

AUTOENCODER = Path("outputs/autoencoder")

LATENTS = Path("outputs/latents")

REFERENCE = Path("outputs/reference")

TRAIN = Path("outputs/train")

EMA = Path("outputs/ema")

ATTRIBUTES = Path("outputs/attributes")

EVALUATE = Path("outputs/evaluate")

UNUSED = Path("outputs/unused")

STUDENTS = Path("outputs/students")

EVALUATE_STUDENTS = Path("outputs/evaluate_students")

REPORTS = Path("reports")

KINDS = Path("outputs/kinds")


def dvc_root() -> Path:
    """Folder of the main checkout, even if the stage runs in a temporary clone made by DVC."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def is_project(folder: Path) -> bool:
    """Whether a folder holds this project: its code, its pipeline and DVC's folder."""
    try:
        pipeline = (folder / "dvc.yaml").read_text(errors="replace")
        parts = (folder / ".dvc", folder / "pipelines", folder / "training")
        return "python -m pipelines.train" in pipeline and all(part.is_dir() for part in parts)
    except OSError:
        return False


def grid_cache() -> Path:
    """Folder in which optimized time grids are kept."""
    return dvc_root() / ".runs" / "grids"


def unfinished_references() -> Path:
    """Where the stage reference keeps what it has done until it is done (`reference-*`)."""
    return dvc_root() / ".runs"


def floors_cache() -> Path:
    """Where floors of metrics are kept, which are the same for all items."""
    return dvc_root() / ".runs" / "floors"


def pairs_cache() -> Path:
    """Where pairs of noise and image are kept that teachers have drawn for their students."""
    return dvc_root() / ".runs" / "pairs"


def judged_cache() -> Path:
    """Where judged items of students are kept, so that a new student has only its own judged."""
    return dvc_root() / ".runs" / "judged"


def attributes_cache() -> Path:
    """Where predictors of attributes are kept, so that a new one has only itself trained."""
    return dvc_root() / ".runs" / "attributes"


def length_name(length: float) -> str:
    """How an EMA length is written in file and item names; DVC writes it in the same way."""
    return number_name(length)


def item_name(length: float, sampler: str) -> str:
    """Name of one item of the evaluate matrix."""
    return f"{length_name(length)}-{sampler}"


def preset_files() -> list[Path]:
    """The presets of the project, by name."""
    return sorted(Path("presets").glob("*.yaml"))


def student_item_name(student: str, length: float, sampler: str) -> str:
    """Name of one item of evaluate_students. It begins with a letter, a teacher's with a digit."""
    return f"{student}-{item_name(length, sampler)}"


def is_student_item(item: str) -> bool:
    """Whether this is the name of a student's item."""
    return item[:1].isalpha()
