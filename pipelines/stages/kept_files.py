"""Files of a result that are kept under .runs, so that a result that stands is not made again."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from foundation.atomic_files import copy_whole, write_text
from foundation.json_files import read_object
from models.weights import file_hash

HASHES = "files.json"


def keep_files(folder: Path, files: Mapping[str, Path]) -> None:
    """Keep copies of the files, {name in the folder: file}, in place of what the folder holds."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, file in files.items():
        copy_whole(file, folder / name)
    hashes = {name: file_hash(folder / name) for name in files}
    write_text(folder / HASHES, json.dumps(hashes, indent=1) + "\n")


def restore_files(folder: Path, files: Mapping[str, Path]) -> bool:
    """Whether the files are kept, all of them whole; each is then put in its place."""
    try:
        hashes = read_object(folder / HASHES)
        whole = all(file_hash(folder / name) == hashes.get(name) for name in files)
    except (OSError, ValueError):
        return False
    if whole:
        for name, file in files.items():
            copy_whole(folder / name, file)
    return whole
