"""Judged items that are kept under .runs, so that an item that stands is not drawn again."""

from pathlib import Path

from pipelines.stages.judged_item import METRICS, PICTURES
from pipelines.stages.kept_files import keep_files, restore_files
from pipelines.workspace.paths import judged_cache


def keep_item(fingerprint: str, out: Path) -> None:
    """Keep copies of a judged item's files under its fingerprint."""
    keep_files(judged_cache() / fingerprint, _files(out))


def restore_item(fingerprint: str, out: Path) -> bool:
    """Whether the item is kept, whole; its files are then put into the new folder `out`."""
    return restore_files(judged_cache() / fingerprint, _files(out))


def _files(out: Path) -> dict[str, Path]:
    return {name: out / name for name in (*PICTURES, METRICS)}
