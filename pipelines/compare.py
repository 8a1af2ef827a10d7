"""Compare runs: params that differ, metrics with floors, curves, samples of the same seeds.

    python -m pipelines.compare                 # lists the runs
    python -m pipelines.compare 3f2a "digits none s0 91bc"

A RUN is a run's name, the fingerprint at the end of its name, or an MLflow run id, or the beginning
of one of these. The comparison is printed, and drawn as compare.png and compare.html in --out.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from evaluation.judged_alike import refusal
from evaluation.metric_table import metric_entry, shown
from foundation.atomic_files import write_bytes, write_text
from pipelines.comparison.page import draw, render
from pipelines.comparison.runs import judging_rows, read_run
from pipelines.comparison.terminal import print_difference, print_judging, print_runs
from pipelines.comparison.views import views
from pipelines.console.command import run_stage
from pipelines.console.terminal import terminal
from pipelines.params import load_params
from pipelines.reporting.html import number
from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.run_status import status_word
from pipelines.tracking.run_store import RunStore
from pipelines.tracking.stage_run import TrackingConfig
from pipelines.workspace.paths import dvc_root

SHOWN = 25


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("runs", nargs="*", metavar="RUN", help="two or more; none: list them")
    arguments.add_argument(
        "--out",
        type=Path,
        default=Path("reports/compare"),
        metavar="FOLDER",
        help="(default: %(default)s)",
    )
    arguments.add_argument(
        "--item",
        metavar="LENGTH-SAMPLER",
        help="compare this item of the evaluation, such as 0.1-heun18; without: the best of each "
        "run by KID and, where these do not use the denoiser's adapter, the best that use it",
    )
    arguments.add_argument(
        "--anyway",
        action="store_true",
        help="show runs that were not judged alike (other data, extractor, number of images) side "
        "by side, without differences and each beside its own floor",
    )
    arguments.add_argument(
        "--params",
        default=DEFAULT_PATH,
        help="params file whose section `tracking` names the run store (default: %(default)s)",
    )
    args = arguments.parse_args()
    store = existing_run_store(load_params(args.params).tracking, dvc_root())
    console = terminal()
    if not args.runs:
        console.print(listing(store))
        return
    if len(args.runs) < 2:
        raise ValueError("give two runs or more; without any, the runs are listed")
    found = [find_run(store, name) for name in args.runs]
    runs = [read_run(store, run) for run in found]
    views(runs, args.item)  # refuses an unknown item before anything is printed
    apart = judging_rows(runs)
    print_runs(console, runs)
    print_judging(console, runs)
    if apart and not args.anyway:
        raise ValueError(refusal(apart, "runs"))
    print_difference(console, runs, bool(apart), args.item)
    args.out.mkdir(parents=True, exist_ok=True)
    write_bytes(args.out / "compare.png", draw(runs, args.item))
    write_text(args.out / "compare.html", render(runs, args.item))
    console.print(f"drawn: {args.out / 'compare.png'}, {args.out / 'compare.html'}", soft_wrap=True)


def existing_run_store(config: TrackingConfig, root: Path) -> RunStore:
    """The run store; ValueError where there is none, since looking must not create an empty one."""
    if config.uri is None and not (root / "mlflow.db").is_file():
        raise ValueError(f"there are no runs: {root / 'mlflow.db'} is missing; run `dvc repro`")
    return open_run_store(config, root)


def find_run(store: RunStore, name: str) -> Any:
    """The parent run with this name, fingerprint or id. Raises ValueError unless there is one."""
    parents = store.search({"level": "parent"})
    ways = (
        lambda run: run.info.run_id == name,
        lambda run: run.info.run_name == name,
        lambda run: run.data.tags["pipeline"].startswith(name),
        lambda run: run.info.run_id.startswith(name),
        lambda run: run.info.run_name.startswith(name),
    )
    for way in ways:
        fits = [run for run in parents if way(run)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            names = ", ".join(f"{run.info.run_name!r} ({run.info.run_id[:8]})" for run in fits[:5])
            raise ValueError(f"{name!r} may be {names}: give the fingerprint or the id")
    children = [run for run in store.search({"level": "stage"}) if run.info.run_id.startswith(name)]
    if children:
        return store.client.get_run(children[0].data.tags["mlflow.parentRunId"])
    known = ", ".join(repr(run.info.run_name) for run in parents[:5]) or "none yet"
    raise ValueError(f"there is no run {name!r}; the latest are {known}")


def listing(store: RunStore) -> Table:
    """Table of the latest runs: name, status, headline metric, its floor, experiment, commit.

    A star: the game of that run moved nothing. A plus: its files differed from that commit.
    """
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    headline = shown("choice")[0]
    title = metric_entry(headline).title
    table.add_column("name", no_wrap=True)
    for column in ("status", title, "floor", "experiment", "git"):
        table.add_column(column, overflow="fold")
    marks: dict[str, str] = {}
    for run in store.search({"level": "parent"})[:SHOWN]:
        tags, metrics = run.data.tags, run.data.metrics
        git, name = tags.get("git.commit", "")[:7], str(run.info.run_name)
        if tags.get("git.dirty") == "true":
            git += "+"
            marks["+"] = "code or settings differed from the commit"
        if "gate.note" in tags:
            name += " *"
            marks["*"] = "the game never played, or its gate never opened"
        keys = (headline, f"{headline}_floor")
        numbers = [number(metrics[key], 2) if key in metrics else "" for key in keys]
        table.add_row(name, status_word(run), *numbers, tags.get("dvc.experiment", ""), git)
    said = [f"{mark}: {meaning}" for mark, meaning in sorted(marks.items())]
    table.title = "; ".join(["runs, newest first", *said])
    table.title_justify = "left"
    return table


if __name__ == "__main__":
    run_stage(main)
