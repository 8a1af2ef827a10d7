"""A training's own folder under .runs/: its lock, adoption, and what is published of it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.workspace.fingerprint import Identity


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of one fingerprint. Raises RuntimeError when another process holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder) + ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(
            f"another process is training run {folder.name} now: wait for it, or stop it first"
        ) from None
    try:
        yield
    finally:
        lock.release()


def offer_or_adopt(identity: Identity, folder: Path, adopt: str | None) -> None:
    """Continue, or point out, an unfinished run that differs from this one in code only."""
    if folder.exists():
        return
    for other in sorted(folder.parent.glob("train-*/identity.json")):
        try:
            facts = json.loads(other.read_text())
        except ValueError:  # cut off by a full disk or a kill: its run cannot be known
            continue
        if (facts["params"], facts["inputs"]) != (identity.params, identity.inputs):
            continue
        if (other.parent / "train.json").exists() or not (other.parent / "checkpoints").exists():
            continue
        if adopt == facts["fingerprint"]:
            other.parent.rename(folder)
            identity.save(folder)
            print(f"train: continuing run {adopt} with the code as it is now")
            return
        print(
            f"train: an unfinished run {facts['fingerprint']} differs from this one in code only; "
            f"TRAIN_ADOPT={facts['fingerprint']} dvc repro  continues it, otherwise a new one starts"
        )
    if adopt:
        raise ValueError(
            f"--adopt {adopt}: there is no unfinished run of that fingerprint with these params "
            "and data: leave --adopt away"
        )


def publish(folder: Path, out: Path) -> None:
    """Link the finished run's results into the stage's outputs."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "snapshots").mkdir(parents=True)
    names = ["train.json", "curves.csv"]
    names += [f"snapshots/{p.name}" for p in sorted((folder / "snapshots").iterdir())
              if p.suffix in (".json", ".safetensors")]  # fmt: skip
    for name in names:
        try:
            os.link(folder / name, out / name)
        except OSError:  # another file system
            shutil.copy2(folder / name, out / name)
