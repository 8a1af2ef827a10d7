"""The folder of a training run under .runs/: locked, adopted by a new fingerprint, published."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from foundation.atomic_files import copy_whole
from foundation.file_lock import LockHeld, holding
from foundation.json_files import read_object
from pipelines.workspace.fingerprint import Identity
from pipelines.workspace.finished_run import sealed
from pipelines.workspace.makers import maker
from pipelines.workspace.use_lock import using
from training.state.writer_lock import WRITER_LOCK

ORPHAN_S = 30.0
"""Seconds to wait for workers whose driver was killed; they end a few seconds after it."""


class RunInUse(RuntimeError):
    """Another process is training the run."""


@contextmanager
def locked(folder: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a run's folder, when no worker writes into it any more.

    Args:
        wait_s: seconds to wait for such workers, whose driver has been killed.

    Raises RunInUse, which names the process, if another one trains the run.
    """
    with ExitStack() as stack:
        stack.enter_context(using(folder.parent))  # pipelines.clean may be at work
        try:
            stack.enter_context(holding(f"{folder}.lock"))
            if (folder / WRITER_LOCK).exists():
                with holding(folder / WRITER_LOCK, wait_s, lambda who: _say_waiting(folder, who)):
                    pass  # nobody can begin to write now but this process
        except LockHeld as error:
            raise RunInUse(
                f"another process is training run {folder.name} now ({error}): wait for it, or "
                "stop it first"
            ) from None
        yield


def _say_waiting(folder: Path, who: str) -> None:
    print(
        f"{maker(folder.name).stage}: waiting for {who}, which still writes to run {folder.name}",
        flush=True,
    )


def offer_or_adopt(identity: Identity, folder: Path, adopt: str | None) -> None:
    """Look for unfinished runs that differ from this one in code only.

    The run whose fingerprint is `adopt` is moved to `folder` and continues there; of others a line
    is printed. Nothing happens if `folder` exists. The caller holds the lock of `folder`; the lock
    of the other run is held here while it is read and moved. Raises RunInUse if the run to adopt is
    being trained, ValueError if there is no such run.
    """
    if folder.exists():
        return
    made = maker(folder.name)
    for other in sorted(
        path.parent for path in folder.parent.glob(f"{identity.stage}-*/identity.json")
    ):
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
                    print(f"{made.stage}: continuing run {adopt} with the code as it is now")
                    return
        except RunInUse as error:
            if found == adopt:
                raise RunInUse(f"--adopt {adopt}: {error}") from None
            continue
        print(
            f"{made.stage}: an unfinished run {found} differs from this one in code only; "
            f"{made.adopting(found)}  continues it, otherwise a new one starts"
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
    return str(facts["fingerprint"]) if "fingerprint" in facts else None


def publish(folder: Path, out: Path) -> None:
    """Put copies of the finished run's files into `out`, train.json last.

    They are no hard links, so that damage to one copy leaves the other. Raises RunIncomplete if a
    file of the run is missing or damaged.
    """
    names = sealed(folder)
    shutil.rmtree(out, ignore_errors=True)
    for name in names:
        copy_whole(folder / name, out / name)
