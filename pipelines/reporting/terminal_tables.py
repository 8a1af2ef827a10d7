"""Prints tables with a column for each run, within the width of the terminal."""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

LONGEST_CELL, NARROWEST_FIRST, WIDEST_FIRST = 26, 16, 40
"""Widths in letters: of a run's column at most, and of the first column."""
HEADING = 12
"""Letters of a heading that are not wrapped."""


def print_by_run(
    console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], runs: int
) -> None:
    """Print a table; if not all of its runs fit side by side, several tables below each other.

    Columns 1 .. `runs` are runs; the columns after them are repeated in each table. Cells may have
    several lines.
    """
    if not rows:
        console.print(f"{title}: none\n")
        return
    columns = list(zip(head, *rows, strict=True))
    widths = [_width(column) for column in columns]
    shared = list(range(runs + 1, len(head)))
    room = console.width - NARROWEST_FIRST - 1 - sum(widths[i] + 1 for i in shared)
    at_once = max(1, room // (max(widths[1 : runs + 1]) + 1))
    for start in range(1, runs + 1, at_once):
        chosen = [*range(start, min(start + at_once, runs + 1)), *shared]
        left = console.width - 1 - sum(widths[i] + 1 for i in chosen)
        table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
        first = max(NARROWEST_FIRST, min(WIDEST_FIRST, left, max(map(len, columns[0]))))
        table.add_column(head[0], width=first, overflow="fold")
        for i in chosen:
            heading = "\n".join(textwrap.wrap(head[i], widths[i]))
            table.add_column(heading, justify="right", width=widths[i], overflow="fold")
        for row in rows:
            table.add_row(row[0], *(row[i] for i in chosen))
        console.print(title, style="italic", highlight=False)
        console.print(table)
        console.print()


def _width(column: Sequence[str]) -> int:
    """Width of a column with these cells, the first of them the heading, which may be wrapped."""
    words = [len(word) for word in column[0].split()] + [min(len(column[0]), HEADING)]
    lines = [len(line) for cell in column[1:] for line in cell.splitlines()]
    return min(max([*words, *lines], default=1), LONGEST_CELL)
