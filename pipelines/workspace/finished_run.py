"""The files of a finished run: which there must be, whether they are whole, and their mend.

`files.json` in the run's folder holds the hash of each. A file that is lost or damaged there is
taken from the copies in outputs/train if these are whole, or made again from the checkpoints.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from foundation.atomic_files import copy_whole, write_text
from models.weights import WeightsError, check_weights, file_hash
from pipelines.workspace.makers import maker

SUMMARY, CURVES, HASHES = "train.json", "curves.csv", "files.json"
TRACKED = 2
"""How many EMA lengths are averaged during training."""
AGAIN = "dvc repro -f train  puts it back, without training if .runs still holds the run"
"""What a stage that reads outputs/train says of a lost or damaged file there."""


class RunIncomplete(RuntimeError):
    """A finished run lacks a file, or has a damaged one, and it cannot be made again."""


def write_hashes(path: Path, hashes: dict[str, str]) -> None:
    """Write a list of files, {name: hash}, with a hash of the list."""
    text = json.dumps({"files": hashes, "sha256": _list_hash(hashes)}, indent=1)
    write_text(path, text + "\n")


def read_hashes(path: Path) -> dict[str, str]:
    """What `write_hashes` wrote; empty if it is missing or damaged."""
    try:
        found = json.loads(path.read_text())
        files = dict(found["files"])
        return files if found["sha256"] == _list_hash(files) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def look_over(folder: Path, copies: Path) -> bool:
    """Whether the run in `folder` is finished, and all its files are there and whole.

    A lost or damaged file is taken from the folder `copies` if it is whole there. Else train.json
    is removed, so that training goes on from its last checkpoint and makes the file again; a line
    says so. Raises RunIncomplete if there is no checkpoint either.
    """
    hashes, made = read_hashes(folder / HASHES), maker(folder.name)
    for name, wanted in hashes.items():
        if _hash(folder / name) != wanted and _hash(copies / name) == wanted:
            copy_whole(copies / name, folder / name)
            print(f"{made.stage}: {folder / name} was lost or damaged: taken from {copies / name}")
    if not (folder / SUMMARY).is_file():
        return False
    fault = next(_faults(folder, hashes), None)
    if fault is None:
        return True
    if not list((folder / "checkpoints").glob("checkpoint-*.safetensors")):
        raise RunIncomplete(
            f"run {folder.name} is finished, but {fault}, and it has no checkpoint to make it "
            "again from: copy it back if you have it, or train anew with --fresh "
            f"({made.anew})"
        )
    print(
        f"{made.stage}: run {folder.name} was finished, but {fault}: going on from its checkpoints"
    )
    (folder / SUMMARY).unlink()  # files.json stays: who copies the lost file back gets all back
    return False


def seal(folder: Path) -> list[str]:
    """Write files.json for a run that has just finished; returns the names of its files.

    Raises RunIncomplete if one is missing or damaged.
    """
    fault = next(_faults(folder, {}), None)
    if fault is not None:
        stage = maker(folder.name).stage
        raise RunIncomplete(
            f"run {folder.name} has ended, but {fault}: run the {stage} stage again"
        )
    hashes = {name: file_hash(folder / name) for name in _wanted(folder)}
    write_hashes(folder / HASHES, hashes)
    return list(hashes)


def sealed(folder: Path) -> list[str]:
    """Names of the files of a finished run, train.json last; of one without files.json see seal."""
    return list(read_hashes(folder / HASHES)) or seal(folder)


def check_snapshots(folder: Path) -> None:
    """Check that `folder`, such as outputs/train, holds the snapshots that train.json lists.

    Raises RunIncomplete, which names the first that is missing and says how to get it back.
    """
    try:
        names = [name for name in _wanted(folder) if name.startswith("snapshots/")]
    except RunIncomplete as error:
        raise RunIncomplete(f"{folder}: {error}: {AGAIN}") from None
    for name in names:
        if not (folder / name).is_file():
            raise RunIncomplete(f"{folder / name} is missing, and train.json lists it: {AGAIN}")


def _wanted(folder: Path) -> list[str]:
    """Names of the files that a finished run has by its train.json, which comes last.

    The times of snapshots are those of train.json, the EMA lengths those of the files. Raises
    RunIncomplete, in a few words, if train.json or all files of a length are missing.
    """
    try:
        times = sorted(
            {int(nimg) for nimg in json.loads((folder / SUMMARY).read_text())["snapshots"]}
        )
    except FileNotFoundError:
        raise RunIncomplete(f"{SUMMARY} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        raise RunIncomplete(f"{SUMMARY} is damaged") from None
    found = [path.stem for path in (folder / "snapshots").glob("[!.]*-*.*")]
    lengths = sorted({stem.partition("-")[2] for stem in found}, key=_number)
    if len(lengths) != TRACKED:
        there = ", ".join(lengths) or "none"
        raise RunIncomplete(f"snapshots of {TRACKED} EMA lengths are wanted, and it has {there}")
    stems = [f"snapshots/{nimg:012d}-{length}" for nimg in times for length in lengths]
    names = [f"{stem}{end}" for stem in stems for end in (".safetensors", ".json")]
    return [*names, CURVES, SUMMARY]


def _faults(folder: Path, hashes: dict[str, str]) -> Iterator[str]:
    """A few words for each file that is missing or damaged."""
    try:
        names = list(hashes) or _wanted(folder)
    except RunIncomplete as error:
        yield str(error)
        return
    for name in names:
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif hashes:
            if _hash(path) != hashes[name]:
                yield f"{name} is damaged"
        elif path.suffix == ".safetensors":
            try:
                check_weights(path)
            except WeightsError:
                yield f"{name} is damaged, or its .json is"


def _list_hash(hashes: dict[str, str]) -> str:
    """Not foundation.json_hash, on which some stages depend that write lists, and others do not."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")
