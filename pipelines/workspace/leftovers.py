"""Results that params do not name any more: which there are, and where they are put aside."""

import shutil
from pathlib import Path

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
