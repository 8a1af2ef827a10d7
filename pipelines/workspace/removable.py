"""What runs and tools have left in this project and in the folder for temporary files, by kind."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.workspace.in_use import lives, processes_naming
from pipelines.workspace.leftovers import size_of
from pipelines.workspace.makers import runs as runs_of

TOOLS = (
    *("mlruns", "plots", "dvc_plots"),
    *(".pytest_cache", ".ruff_cache", ".mypy_cache", ".import_linter_cache"),
)
CACHES = ("__pycache__",)
APART = (".venv", ".git", ".dvc")
MARK = "sadm-project"
"""File in the folder of a Ray session; it holds the project that started the session."""


@dataclass(frozen=True)
class Removable:
    """Paths of one kind, which are removed together."""

    what: str
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return size_of(self.paths)


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
        trained = tuple(runs_of(root))
        kept = tuple(path for path in sorted(runs.iterdir()) if path not in trained)
        yield Removable("runs with their checkpoints", trained)
        yield Removable(
            "time grids, floors, pairs, judged items, sweeps and locks under .runs", kept
        )


def caches(root: Path) -> Iterator[Removable]:
    """What tools keep to be faster the next time."""
    yield Removable("caches of tools", _there(root, [n for n in TOOLS if n.endswith("_cache")]))
    yield Removable("Python's compiled code", tuple(_compiled(root)))


def ray_sessions(root: Path, temporary: Path | None = None) -> Removable:
    """Folders of Ray sessions that this project started and that have ended.

    Ray leaves them in the folder for temporary files. temporary: that folder, for tests.
    """
    found = []
    for mark in sorted(Path(temporary or tempfile.gettempdir()).glob(f"ray/session_*/{MARK}")):
        session = mark.parent
        try:
            ours = mark.read_text() == str(root.resolve())
        except (OSError, ValueError):
            continue
        started = session.name.rpartition("_")[2]
        lives_on = not started.isdigit() or lives(int(started)) or processes_naming(session.name)
        if ours and not session.is_symlink() and not lives_on:
            found.append(session)
    return Removable("logs of this project's Ray sessions that have ended", tuple(found))


def dvc_cache(root: Path) -> Removable:
    """Everything that DVC keeps: without it no committed result can be checked out again."""
    return Removable("DVC's cache of all committed results", _there(root, (".dvc/cache",)))


def unfinished_runs(root: Path, current: set[str]) -> Removable:
    """Runs under .runs that never ended and are not one of `current`, with Ray's state of them.

    current: names of folders, such as train-0123456789abcdef and distil-quick-0123456789abcdef.
    """
    found = [
        path
        for path in runs_of(root)
        if path.is_dir() and path.name not in current and not (path / "train.json").is_file()
    ]
    names = {path.name for path in found}
    for path in sorted((root / ".runs" / "ray").glob("*-*")):
        if path.name.rpartition("-")[0] in names:
            found.append(path)
    return Removable("unfinished runs of other params, data or code", tuple(found))


def finished_runs(root: Path, current: set[str]) -> Removable:
    """Runs under .runs that ended and are not one of `current`."""
    found = [
        path
        for path in runs_of(root)
        if (path / "train.json").is_file() and path.name not in current
    ]
    return Removable("finished runs of other params, data or code", tuple(found))


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
