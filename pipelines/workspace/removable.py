"""What runs and tools have left in this project and in the folder for temporary files, by kind."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foundation.file_lock import LockHeld, holding
from pipelines.workspace.leftovers import size_of

TOOLS = (
    *("mlruns", "plots", "dvc_plots"),
    *(".pytest_cache", ".ruff_cache", ".mypy_cache", ".import_linter_cache"),
)
CACHES = ("__pycache__",)
APART = (".venv", ".git", ".dvc")
SESSION = re.compile(r"session_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d+_(?P<pid>\d+)")
"""Name of the folder of a Ray session; it ends with the process that started it."""


@dataclass(frozen=True)
class Removable:
    """Paths of one kind, which are removed together."""

    what: str
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return size_of(self.paths)


class InUse(RuntimeError):
    """A living process uses what would be removed."""


def check_free(root: Path) -> None:
    """Raise InUse, which names the run and its process, if a run of this project is trained."""
    runs = root / ".runs"
    for lock in sorted([*runs.glob("*.lock"), *runs.glob("*/writing.lock")]):
        try:
            with holding(lock):
                pass
        except LockHeld as error:
            name = lock.parent.name if lock.name == "writing.lock" else lock.stem
            raise InUse(
                f"a process still uses {runs / name} ({error}): stop it first, or wait for it"
            ) from None


def results(root: Path) -> Iterator[Removable]:
    """Outputs, reports, and the runs with their checkpoints and records."""
    names = {
        "results of the stages (DVC's cache keeps those that were committed)": ("outputs",),
        "report, comparisons, sweeps, replications": ("reports",),
        "MLflow's runs": ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlruns"),
        "plots of DVC": ("plots", "dvc_plots"),
    }
    for what, parts in names.items():
        yield Removable(what, _there(root, parts))
    runs = root / ".runs"
    if runs.is_dir():
        trained = tuple(sorted(path for path in runs.iterdir() if path.name.startswith("train-")))
        kept = tuple(sorted(path for path in runs.iterdir() if path not in trained))
        yield Removable("runs with their checkpoints", trained)
        yield Removable("time grids, floors, sweeps and locks under .runs", kept)


def caches(root: Path) -> Iterator[Removable]:
    """What tools keep to be faster the next time."""
    yield Removable("caches of tools", _there(root, [n for n in TOOLS if n.endswith("_cache")]))
    yield Removable("Python's compiled code", tuple(_compiled(root)))


def ray_sessions(temporary: Path | None = None) -> Removable:
    """Folders of this user's Ray sessions, and of meetings of workers, whose process has ended."""
    folder = Path(temporary or tempfile.gettempdir())
    found = []
    for path in sorted((folder / "ray").glob("session_*")):
        named = SESSION.fullmatch(path.name)
        if named and not path.is_symlink() and _mine(path) and not _lives(int(named["pid"])):
            found.append(path)
    return Removable("logs of Ray sessions that have ended", tuple(found))


def unfinished_runs(root: Path, current: set[str]) -> Removable:
    """Runs under .runs that never ended and are not one of `current`, with Ray's state of them.

    current: names of folders, such as train-0123456789abcdef.
    """
    found = [
        path
        for path in sorted((root / ".runs").glob("train-*"))
        if path.is_dir() and path.name not in current and not (path / "train.json").is_file()
    ]
    names = {path.name for path in found}
    for path in sorted((root / ".runs" / "ray").glob("train-*")):
        if path.name.rpartition("-")[0] in names:
            found.append(path)
    return Removable("unfinished runs of other params, data or code", tuple(found))


def _there(root: Path, names: tuple[str, ...] | list[str]) -> tuple[Path, ...]:
    return tuple(root / name for name in names if (root / name).exists())


def _compiled(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_dir() or path.name in APART:
            continue
        if path.name in CACHES:
            yield path
        else:
            yield from _compiled(path)


def _mine(path: Path) -> bool:
    import os

    try:
        return path.stat().st_uid == os.getuid()
    except OSError:
        return False


def _lives(pid: int) -> bool:
    """Whether a process of this number lives here; another user's counts as living."""
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
