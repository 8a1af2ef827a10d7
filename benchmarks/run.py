"""Times parts of the project beside what one would use instead.

Usage: python -m benchmarks.run [NAME ...]
Prints a table for each benchmark and keeps it in benchmarks/results.json. Ratios are ours by the
peer's, both measured in turn in this run: below 1 the project is faster. Seconds depend on the
machine, ratios much less.
"""

import argparse
import json
from dataclasses import asdict
from datetime import date
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.side_by_side import Row, machine
from foundation.atomic_files import write_text

BENCHMARKS = {
    "band_predictions": "bands on 2, 4 and 8 devices, predicted (1 minute)",
    "bands": "one image over two one-thread workers (3 minutes)",
    "extractor": "EfficientNet-Lite0 on a processor, by batch (3 minutes)",
    "frechet": "Frechet distance beside clean-fid's (2 minutes)",
    "game_forms": "a play of the game by each form of discriminator (2 minutes)",
    "imports": "processor seconds of imports, params and --help (5 minutes)",
    "judging": "judging with kept floors, beside measuring them (1 minute)",
    "neighbours": "nearest neighbours beside scikit-learn's and faiss's (2 minutes)",
    "peers.averages": "an update of averages beside diffusers' and ema-pytorch's",
    "peers.batches": "training batches beside a DataLoader over PNG files",
    "peers.fixed_costs": "each stage over next to nothing, and a training on Ray",
    "peers.game": "what the structure game adds to a step",
    "peers.growth": "what work takes at 1, 4 and 16 times the size",
    "peers.manifold": "precision, recall, density and coverage beside prdc's",
    "peers.network_forward": "a forward pass beside diffusers' and lucidrains' U-Nets",
    "peers.network_step": "a training step beside those of the same U-Nets",
    "peers.reconstruction": "an average made afterwards, beside ema-pytorch's",
    "peers.sampler": "images drawn beside diffusers' pipelines",
    "peers.two_workers": "two Ray workers beside one",
    "peers.whole_trainer": "a step of the trainer beside a bare loop",
}
"""Name of a module here, whose function `rows` measures -> what it measures."""
RESULTS = Path("benchmarks/results.json")


def table_of(name: str, rows: list[Row], about: dict) -> Table:
    """The rows, under a title that tells on what machine, and how busy it was."""
    title = (
        f"{BENCHMARKS.get(name, name)}\n"
        + "{processor}, {threads} threads, load {load}".format(**about)
    )
    headings = ("what", "ours", "theirs", "ratio", "quartiles", "aim", "")
    table = Table(*headings, title=title)
    for row in rows:
        notes = ["over the aim"] * row.missed + [row.note] * bool(row.note)
        table.add_row(
            row.what,
            _told(row.ours, row.unit),
            "" if row.peers is None else f"{_told(row.peers, row.unit)} {row.peer}",
            "" if row.ratio is None else _ratio(row.ratio),
            "" if row.spread is None else " to ".join(map(_ratio, row.spread)),
            "" if row.aim is None else f"{row.aim:g}",
            "; ".join(notes),
        )
    return table


def keep(name: str, rows: list[Row], about: dict) -> None:
    """Put a benchmark's rows into RESULTS beside those of the others."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = {"machine": about, "date": f"{date.today()}", "rows": [asdict(r) for r in rows]}
    write_text(RESULTS, json.dumps(dict(sorted(results.items())), indent=1) + "\n")


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _told(value: float, unit: str) -> str:
    if unit == "s" and value < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.2f} {unit}" if unit else f"{value:.3g}"


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    listed = "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items())
    arguments.add_argument("names", metavar="NAME", nargs="*", help=f"(default: all) {listed}")
    names = arguments.parse_args().names or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            arguments.error(f"there is no benchmark {name!r}: choose from {', '.join(BENCHMARKS)}")
    for name in names:
        about = machine()
        rows = list(import_module(f"benchmarks.{name}").rows())
        Console().print(table_of(name, rows, about))
        keep(name, rows, about)


if __name__ == "__main__":
    main()
