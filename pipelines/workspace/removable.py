"""What runs and tools have left in this project and in the folder for temporary files, by kind."""

import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from foundation.unfinished_files import FOREIGN_AGE_S, machine
from pipelines.workspace import use_lock
from pipelines.workspace.in_use import lives, processes_naming
from pipelines.workspace.leftovers import size_of
from pipelines.workspace.makers import runs as runs_of

CACHES_OF_TOOLS = (".pytest_cache", ".ruff_cache", ".mypy_cache", ".import_linter_cache")
COMPILED = "__pycache__"
APART = (".venv", ".git", ".dvc")
STAGES = (
    *(
        "dataset",
        "autoencoder",
        "latents",
        "reference",
        "train",
        "ema",
        "attributes",
        "evaluate",
        "students",
        "evaluate_students",
    ),
    *("unused", "kinds", ".gitignore"),
)
"""What the stages make in outputs/."""
KEPT_IN_RUNS = (use_lock.NAME, "home")
"""The lock of this project, and the home folder of a user who has none."""
MARK = "sadm-project"
"""File in the folder of a Ray session; it holds the project that started the session."""


@dataclass(frozen=True)
class Removable:
    """Paths of one kind, which are removed together."""

    what: str
    paths: tuple[Path, ...]
    made_again: bool = False
    """Whether tools make them again at any time, and nobody misses them."""

    @property
    def size(self) -> int:
        """Bytes."""
        return size_of(self.paths)


def results(root: Path) -> Iterator[Removable]:
    """Outputs, reports, and the runs with their checkpoints and records.

    A link is never among them: what it names lies elsewhere, and is its owner's business.
    """
    outputs = _in(root / "outputs")
    foreign = [path for path in outputs if path.name not in STAGES]
    whole = not foreign and not any(path.is_symlink() for path in outputs)
    yield Removable(
        "results of the stages (DVC's cache keeps those that were committed)",
        _there(root, ["outputs"]) if whole else _own(p for p in outputs if p.name in STAGES),
    )
    yield Removable("others in outputs/, which no stage made and no cache keeps", _own(foreign))
    yield Removable("report, comparisons, sweeps, replications", _there(root, ["reports"]))
    runs_of_mlflow = ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlruns")
    yield Removable("MLflow's runs", _there(root, runs_of_mlflow))
    # A folder named plots may well be the user's own: DVC's has a page.
    plots = [name for name in ("plots", "dvc_plots") if (root / name / "index.html").is_file()]
    yield Removable("plots of DVC", _there(root, plots))
    kept = [path for path in _in(root / ".runs") if path.name not in KEPT_IN_RUNS]
    # Who holds a lock removes the note beside it.
    kept = [p for p in kept if p.suffix != ".holder" or gone(p.with_suffix(""))]
    made = runs_of(root)
    trained = [p for p in kept if p in made and ".lock" not in p.name]
    yield Removable("runs with their checkpoints", _own(trained))
    rest = _own(path for path in kept if path not in trained)
    yield Removable("time grids, floors, pairs, judged items, sweeps and locks under .runs", rest)


def links(root: Path) -> list[Path]:
    """Links in the places of results, which are kept with what they name."""
    names = ("outputs", "reports", "mlflow.db", "mlruns", "plots", "dvc_plots", ".runs")
    places = [root / name for name in (*names, ".dvc/cache", *CACHES_OF_TOOLS)]
    places += [*_in(root / "outputs"), *_in(root / ".runs")]
    return [path for path in places if path.is_symlink()]


def caches(root: Path) -> Iterator[Removable]:
    """What tools keep to be faster the next time."""
    yield Removable("caches of tools", _there(root, CACHES_OF_TOOLS), True)
    yield Removable("Python's compiled code", tuple(_compiled(root)), True)


def mark_of(root: Path) -> str:
    """Content of the mark of a Ray session that the project in `root` starts here."""
    return json.dumps({"project": str(root.resolve()), "machine": machine()})


def ray_sessions(root: Path, temporary: Path | None = None) -> Removable:
    """Folders of Ray sessions that this project started and that have ended.

    Ray leaves them in the folder for temporary files. A session of another container, whose
    processes cannot be seen from here, counts as ended when none of its files has changed for a
    day. temporary: that folder, for tests.
    """
    found = []
    for mark in sorted(Path(temporary or tempfile.gettempdir()).glob(f"ray/session_*/{MARK}")):
        session = mark.parent
        try:
            ours, here = _of_mark(mark.read_text(), root)
        except (OSError, ValueError):
            continue
        started = session.name.rpartition("_")[2]
        lives_on = not started.isdigit() or lives(int(started)) or processes_naming(session.name)
        if not here and time.time() - _last_change(session) < FOREIGN_AGE_S:
            lives_on = True
        if ours and not session.is_symlink() and not lives_on:
            found.append(session)
    return Removable("logs of this project's Ray sessions that have ended", tuple(found))


def dvc_cache(root: Path) -> Removable:
    """Everything that DVC keeps: without it no committed result can be checked out again."""
    return Removable("DVC's cache of all committed results", _there(root, (".dvc/cache",)))


def gone(path: Path) -> bool:
    """Whether nothing has this name, not even a link to nothing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # in a folder that may not be read
        return False
    return False


def _there(root: Path, names: Iterable[str]) -> tuple[Path, ...]:
    return _own(root / name for name in names if not gone(root / name))


def _own(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(path for path in paths if not path.is_symlink())


def _in(folder: Path) -> list[Path]:
    """What lies in a folder; nothing if it is none, a link, or may not be read."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except OSError:
        return []


def _compiled(folder: Path) -> Iterator[Path]:
    """Folders of compiled code; not those of another project or environment below."""
    for path in _in(folder):
        try:
            if path.is_symlink() or not path.is_dir() or path.name in APART:
                continue
            if any((path / name).exists() for name in (".git", "pyvenv.cfg")):
                continue
        except OSError:  # another user's
            continue
        if path.name == COMPILED:
            yield path
        else:
            yield from _compiled(path)


def _of_mark(text: str, root: Path) -> tuple[bool, bool]:
    """Of the session with this mark: (was it this project's?, can its processes be seen here?)."""
    project = str(root.resolve())
    try:
        facts = json.loads(text)
        return facts["project"] == project, facts["machine"] == machine()
    except (ValueError, KeyError, TypeError):  # an older version wrote the project alone
        return text == project, False


def _last_change(folder: Path) -> float:
    """Time of the last change of a file in a folder or below, in seconds since 1970."""
    last = 0.0
    for where, _, files in os.walk(folder):
        for path in (where, *(os.path.join(where, name) for name in files)):
            with suppress(OSError):
                last = max(last, os.lstat(path).st_mtime)
    return last
