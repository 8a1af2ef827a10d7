"""The folder of a training run under .runs/: locked, adopted by a new fingerprint, published."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from foundation.json_files import read_object
from pipelines.workspace.fingerprint import Identity


class RunInUse(RuntimeError):
    """Another process is training the run."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder. Raises RunInUse if another process holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder) + ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunInUse(
            f"another process is training run {folder.name} now: wait for it, or stop it first"
        ) from None
    try:
        yield
    finally:
        lock.release()


def offer_or_adopt(identity: Identity, folder: Path, adopt: str | None) -> None:
    """Look for unfinished runs that differ from this one in code only.

    The run whose fingerprint is `adopt` is moved to `folder` and continues there; of others a line
    is printed. Nothing happens if `folder` exists. The caller holds the lock of `folder`; the lock
    of the other run is held here while it is read and moved. Raises RunInUse if the run to adopt is
    being trained, ValueError if there is no such run.
    """
    if folder.exists():
        return
    for other in sorted(path.parent for path in folder.parent.glob("train-*/identity.json")):
        found = _unfinished(other, identity)
        if found is None:
            continue
        try:
            with locked(other):
                if _unfinished(other, identity) is None:  # it ended just now
                    continue
                if found == adopt:
                    other.rename(folder)
                    identity.save(folder)
                    print(f"train: continuing run {adopt} with the code as it is now")
                    return
        except RunInUse as error:
            if found == adopt:
                raise RunInUse(f"--adopt {adopt}: {error}") from None
            continue
        print(
            f"train: an unfinished run {found} differs from this one in code only; "
            f"TRAIN_ADOPT={found} dvc repro  continues it, otherwise a new one starts"
        )
    if adopt:
        raise ValueError(
            f"--adopt {adopt}: there is no unfinished run of that fingerprint with these params "
            "and data: leave --adopt away"
        )


def _unfinished(run: Path, identity: Identity) -> str | None:
    """The fingerprint of an unfinished run with the same params and inputs; None for any other."""
    try:
        facts = read_object(run / "identity.json")
    except (OSError, ValueError):  # no run, or a file that a full disk or a kill cut off
        return None
    if (facts.get("params"), facts.get("inputs")) != (identity.params, identity.inputs):
        return None
    if (run / "train.json").exists() or not (run / "checkpoints").exists():
        return None
    return facts.get("fingerprint")


def publish(folder: Path, out: Path) -> None:
    """Put the finished run's results into `out`, as hard links where possible."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "snapshots").mkdir(parents=True)
    names = ["train.json", "curves.csv"]
    found = sorted((folder / "snapshots").iterdir())
    names += [f"snapshots/{p.name}" for p in found if p.suffix in (".json", ".safetensors")]
    for name in names:
        try:
            os.link(folder / name, out / name)
        except OSError:  # another file system
            shutil.copy2(folder / name, out / name)
