"""Tables of the studies as markdown."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foundation.json_files import read_object


def rows_by(folder: Path, *keys: str) -> dict[tuple, list[dict]]:
    """{values of these keys: rows that have them} of a folder's rows, in the order of the files."""
    found: dict[tuple, list[dict]] = defaultdict(list)
    for file in sorted(folder.glob("*.json")):
        row = read_object(file)
        found[tuple(row[key] for key in keys)].append(row)
    return dict(found)


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table; lines: the cells of each row."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def spread(values: Sequence[float], digits: int) -> str:
    """The mean, and beside it the deviation of two or more; nothing of none."""
    if not len(values):
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"
