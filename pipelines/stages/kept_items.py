"""Judged items that are kept under .runs, so that an item that stands is not drawn again."""

import json
import shutil
from pathlib import Path

from foundation.atomic_files import copy_whole, write_text
from foundation.json_files import read_object
from models.weights import file_hash
from pipelines.stages.judged_item import METRICS, PICTURES
from pipelines.workspace.paths import judged_cache

HASHES = "files.json"


def keep_item(fingerprint: str, out: Path) -> None:
    """Keep copies of a judged item's files under its fingerprint."""
    folder = judged_cache() / fingerprint
    shutil.rmtree(folder, ignore_errors=True)
    for name in (*PICTURES, METRICS):
        copy_whole(out / name, folder / name)
    hashes = {name: file_hash(folder / name) for name in (*PICTURES, METRICS)}
    write_text(folder / HASHES, json.dumps(hashes, indent=1) + "\n")


def restore_item(fingerprint: str, out: Path) -> bool:
    """Whether the item is kept, whole; its files are then put into the new folder `out`."""
    folder = judged_cache() / fingerprint
    try:
        hashes = read_object(folder / HASHES)
        whole = all(file_hash(folder / name) == hashes.get(name) for name in (*PICTURES, METRICS))
    except (OSError, ValueError):
        return False
    if whole:
        for name in (*PICTURES, METRICS):
            copy_whole(folder / name, out / name)
    return whole
