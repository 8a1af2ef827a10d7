"""Measures what a sweep saves: trials side by side, one by one, and with early stopping.

Usage: python -m benchmarks.sweep [--space sweep.yaml] [--trials N] [--kimg K]
Runs the same trials three times through `python -m pipelines.sweep`, each time from nothing:
`max_concurrent` of the file, then 1, both without early stopping, so that the same images are
trained; then with ASHA. Wall time is that of the whole command, Ray's start included. A trial that
runs alone may use all processors. State lies in a temporary folder; the data set is that of here.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from pipelines.sweep import SWEEPS
from pipelines.sweeps.space import SweepConfig, load_sweep
from pipelines.workspace.dvc_command import run_dvc
from pipelines.workspace.paths import REPORTS

PREFIX = "benchmark-"


def variants(config: SweepConfig) -> dict[str, dict[str, Any]]:
    """{variant: changes of sweep.yaml}; search is random, so trials do not depend on results."""
    whole = {"searcher": "random", "scheduler": "none"}
    together = f"{config.max_concurrent} at a time"
    return {
        together: {**whole, "max_concurrent": config.max_concurrent},
        "one by one": {**whole, "max_concurrent": 1},
        f"{together}, ASHA": {"searcher": "random", "scheduler": "asha"},
    }


def run_variant(raw: dict[str, Any], root: Path) -> tuple[float, list[dict[str, Any]]]:
    """(seconds, trials) of a fresh sweep. Raises RuntimeError with its last lines if it fails."""
    space = root / "sweep.yaml"
    space.write_text(yaml.safe_dump(raw, sort_keys=False))
    command = [sys.executable, "-m", "pipelines.sweep", "--space", str(space)]
    start = time.monotonic()
    done = subprocess.run(
        command,
        env=os.environ | {"DVC_ROOT": str(root)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"{raw['name']} failed:\n" + "\n".join(done.stdout.splitlines()[-15:]))
    trials = json.loads((root / ".runs" / SWEEPS / raw["name"] / "trials.json").read_text())
    return seconds, sorted(trials, key=lambda trial: trial["number"])


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--space", default="sweep.yaml", metavar="FILE")
    arguments.add_argument("--trials", type=int, metavar="N", help="instead of the file's number")
    arguments.add_argument("--kimg", type=float, metavar="K", help="a trial's train.total_kimg")
    args = arguments.parse_args()
    raw = yaml.safe_load(Path(args.space).read_text())
    if args.trials:
        raw["trials"] = args.trials
    if args.kimg:
        raw["space"] = {**raw["space"], "train.total_kimg": args.kimg}
    config = load_sweep(args.space).config
    run_dvc("repro", "reference")  # not part of what is timed
    results: dict[str, tuple[float, list[dict[str, Any]]]] = {}
    for index, (name, changes) in enumerate(variants(config).items()):
        own = {**raw, **changes, "name": f"{PREFIX}{index}"}
        with tempfile.TemporaryDirectory(prefix="sweep-") as root:
            results[name] = run_variant(own, Path(root))
        shutil.rmtree(REPORTS / SWEEPS / own["name"], ignore_errors=True)
        seconds, trials = results[name]
        print(f"{name}: {seconds:.0f} s, {len(trials)} trials", flush=True)
    Console().print(table(results))


def table(results: dict[str, tuple[float, list[dict[str, Any]]]]) -> Table:
    """Wall time and images of each variant, and their ratios to the trials one by one."""
    alone, alone_trials = results["one by one"]
    out = Table(
        "trials",
        "wall",
        "images (kimg)",
        "ratio of wall",
        "ratio of images",
        "broken",
        title=f"{len(alone_trials)} trials, {os.cpu_count()} processors",
    )
    whole = images(alone_trials)
    for name, (seconds, trials) in results.items():
        same = [t["values"] for t in trials] == [t["values"] for t in alone_trials]
        broken = sum(trial["status"] == "broken" for trial in trials)
        out.add_row(
            name + ("" if same else " (other trials!)"),
            f"{seconds:.0f} s",
            f"{images(trials) / 1000:.1f}",
            f"{seconds / alone:.2f}",
            f"{images(trials) / whole:.2f}",
            str(broken),
        )
    return out


def images(trials: list[dict[str, Any]]) -> float:
    """Images trained up to the last rung of each trial; a stopped trial trains little more."""
    return sum(trial["rungs"][-1]["nimg"] for trial in trials if trial["rungs"])


if __name__ == "__main__":
    main()
