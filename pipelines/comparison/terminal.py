"""Prints the comparison of runs, within the width of the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipelines.comparison.runs import (
    Compared,
    judging_rows,
    metric_rows,
    own_floors,
    param_rows,
    run_notes,
)
from pipelines.comparison.short_names import short_names
from pipelines.comparison.views import equal_line, views
from pipelines.reporting.terminal_tables import print_by_run


def print_runs(console: Console, runs: Sequence[Compared]) -> None:
    """Print what each run is called in the other tables, and a line if its game moved nothing."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("run", "called below", "status"):
        table.add_column(column, overflow="fold")
    for run, short in zip(runs, short_names([run.name for run in runs]), strict=True):
        table.add_row(run.name, short, run.status)
    console.print(table)
    for note in run_notes(runs):
        console.print(note, soft_wrap=True, highlight=False)
    console.print()


def print_judging(console: Console, runs: Sequence[Compared]) -> None:
    """Print in what the judgements of the runs differ; nothing if they were judged alike."""
    rows = judging_rows(runs)
    if rows:
        names = short_names([run.name for run in runs])
        print_by_run(console, "judged differently", ["judged by", *names], rows, len(runs))


def print_difference(
    console: Console,
    runs: Sequence[Compared],
    apart: bool = False,
    item: str | None = None,
) -> None:
    """Print the params that differ and the metrics as tables.

    apart: the runs were not judged alike: each metric stands beside its run's own floor.
    item: show this one of every run; None: as `views` chooses.
    """
    names = short_names([run.name for run in runs])
    print_by_run(console, "params that differ", ["param", *names], param_rows(runs), len(runs))
    for what, shown in views(runs, item):
        head, rows = metric_rows(shown, apart)
        about = "; in brackets each run's own floor" if apart or own_floors(shown) else ""
        print_by_run(console, f"metrics of {what}{about}", head, rows, len(runs))
        equal = equal_line(shown)
        if equal:
            console.print(f"{equal}\n", soft_wrap=True, highlight=False)
