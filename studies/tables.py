"""Tables of the studies as markdown."""

from collections.abc import Sequence

import numpy as np


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
