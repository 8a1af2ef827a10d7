"""Results that params do not name any more: which there are, and where they are put aside."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from foundation.counted import counted
from pipelines.settings.schema import Params
from pipelines.workspace.paths import EMA, EVALUATE, UNUSED, item_name, length_name


def unnamed_items(params: Params) -> list[Path]:
    """Folders in outputs/evaluate of a sampler or an EMA length that params do not name."""
    named = {item_name(n, sampler) for n in params.ema.lengths for sampler in params.samplers}
    return [path for path in _visible(EVALUATE) if path.name not in named]


def unnamed_averages(params: Params) -> list[Path]:
    """Files in outputs/ema of an EMA length that params do not name."""
    named = {length_name(length) for length in params.ema.lengths} | {"reconstruct"}
    return [path for path in _visible(EMA) if path.stem not in named]


def put_aside(params: Params) -> list[Path]:
    """Move the folders of `unnamed_items` to outputs/unused; returns where they are now.

    The stage summarize depends on the folder outputs/evaluate, since DVC cannot be told a list of
    folders that params decide. So it holds what params name, and nothing else.
    """
    moved = []
    for path in unnamed_items(params):
        goal = UNUSED / path.name
        goal.parent.mkdir(parents=True, exist_ok=True)
        if goal.is_dir() and not goal.is_symlink():
            shutil.rmtree(goal)
        else:
            goal.unlink(missing_ok=True)
        path.rename(goal)
        moved.append(goal)
    return moved


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def stale(params: Params) -> list[Path]:
    """All in outputs/ that is of a length or sampler which params do not name."""
    return [*_visible(UNUSED), *unnamed_items(params), *unnamed_averages(params)]


def leftovers_line(params: Params) -> str | None:
    """A line that names what `stale` finds, its size and the command that removes it."""
    found = stale(params)
    if not found:
        return None
    names = ", ".join(path.name for path in found[:3]) + (", ..." if len(found) > 3 else "")
    return (
        f"params do not name {counted(len(found), 'result')} in outputs/ "
        f"({names}; {in_words(size_of(found))}): python -m pipelines.clean --stale  removes "
        f"{'them' if len(found) > 1 else 'it'}"
    )


def size_of(paths: Iterable[Path]) -> int:
    """Bytes of files and folders; links count as nothing, and neither does what cannot be read."""
    total = 0
    for path in paths:
        if path.is_symlink():
            continue
        try:
            if path.is_file():
                total += path.stat().st_size
            else:
                total += size_of(path.iterdir())
        except OSError:  # it has gone meanwhile, or may not be read
            continue
    return total


def in_words(size: int) -> str:
    """Bytes as "640 kB", "3.4 MB" or "12 GB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            number = size / unit
            return f"{number:.1f} {name}" if number < 10 else f"{number:.0f} {name}"
    return f"{size} bytes"
