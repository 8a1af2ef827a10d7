"""Notes on which training runs a sweep or a replication goes on with after a stop.

A note is a file in .runs/wanted, named by the hash of the run's params; it holds who wants the run.
"""

from contextlib import suppress
from pathlib import Path

from foundation.atomic_files import write_text
from pipelines.workspace.stage_code import hash_of


def who_wants(sweep: str) -> str:
    """Words for a sweep that wants runs. sweep: its name."""
    return f"the sweep {sweep}"


def want(root: Path, params_hash: str, who: str) -> None:
    """Note that runs of these params are wanted.

    Args:
        params_hash: `params` of the run's Identity.
        who: words for the command that goes on with them, see `who_wants`.
    """
    path = _folder(root) / f"{params_hash}-{hash_of(who)[:8]}"
    if not path.is_file():
        write_text(path, who)


def no_longer_wanted(root: Path, who: str) -> None:
    """Remove all notes of one that wanted runs."""
    for path in _notes(root):
        with suppress(OSError):
            if path.read_text() == who:
                path.unlink()


def wanted(root: Path) -> dict[str, str]:
    """{hash of params: one who wants the run}. Raises OSError for a note that cannot be read."""
    return {path.name.partition("-")[0]: path.read_text() for path in _notes(root)}


def _notes(root: Path) -> list[Path]:
    folder = _folder(root)
    return sorted(folder.glob("[!.]*-*")) if folder.is_dir() else []


def _folder(root: Path) -> Path:
    return Path(root) / ".runs" / "wanted"
