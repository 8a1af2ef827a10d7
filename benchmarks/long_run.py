"""Does a long run grow? Memory of a training, and what it and repeated runs leave on the disk.

    python -m benchmarks.long_run --minutes 30
    python -m benchmarks.long_run --minutes 30 --game

Trains the preset digits in a folder of its own, by the command that a user types, tracked by MLflow
and in one process. Every few seconds the resident memory of the process and its children is read,
and the sizes of mlflow.db and .runs. After a warm-up a line is fitted to each: MB a minute with its
95% interval. Then `dvc repro` runs the whole pipeline with a few seeds, tiny; told is what each
further seed adds to DVC's cache, .runs and mlflow.db. All goes into benchmarks/long_run.json.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.growth import Growth, Samples, memory_mb, size_mb, watch
from foundation.atomic_files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path("benchmarks/long_run.json")
CODE = ("dataset", "discriminators", "evaluation", "foundation", "models", "pipelines", "sampling")
CODE += ("training", "presets")
PILOT_S = 30.0
"""Seconds of steps by which the length of a training is chosen, so that it lasts all the minutes
and has its snapshots within them."""
LONGER = 1.1
"""So much longer is the training, so that it does not end before the minutes."""
KEPT_POINTS = 60
"""Samples of each quantity that the results keep."""
TINY: dict[str, Any] = {
    "model": {"channels": 8, "attention_resolutions": [], "structural_blocks": []},
    "train": {"total_kimg": 1.0, "batch_size": 32, "held_out_images": 32},
    "structure": {"kind": "none"},
    "ema": {"snapshots": 4, "lengths": [0.1]},
    "sampling": {"heun": {"solver": "heun", "grid": "karras", "steps": 3}},
    "samplers": ["heun"],
    "evaluation": {"num_images": 64, "kid_subsets": 5, "kid_subset_size": 30, "floor_draws": 3},
}


def set_up(folder: Path) -> None:
    """Copy the code, dvc.yaml and DVC's settings into an empty folder."""
    root, no_cache = Path(__file__).resolve().parents[1], shutil.ignore_patterns("__pycache__")
    for name in CODE:
        shutil.copytree(root / name, folder / name, ignore=no_cache)
    shutil.copy(root / "dvc.yaml", folder)
    (folder / ".dvc").mkdir()
    shutil.copy(root / ".dvc/config", folder / ".dvc/config")
    shutil.copytree(root / ".dvc/plots", folder / ".dvc/plots")
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")


def write_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """Write params.yaml: the preset digits in one process, with these changes."""
    import yaml

    from foundation.nested_settings import merged

    raw = yaml.safe_load((folder / "presets/digits.yaml").read_text())
    raw = merged(raw, {"cluster": {"num_workers": 0}})
    sampling = changes.get("sampling", raw["sampling"])  # in place of the preset's, not beside
    raw = merged(raw, changes) | {"sampling": sampling}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def command(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    """Start `python -m WORDS` in the folder; what it says is added to `said.txt` there."""
    here = str(Path(sys.executable).parent)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
    path = here + os.pathsep + os.environ.get("PATH", "")
    with open(folder / "said.txt", "ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )


def finish(process: "subprocess.Popen[bytes]", folder: Path, codes: tuple[int, ...] = (0,)) -> None:
    """Wait for a command. Raises RuntimeError, with its last words, for another exit code."""
    if process.wait() not in codes:
        lines = (folder / "said.txt").read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"{' '.join(process.args[1:])} failed: {lines[-1:]}")  # type: ignore[index]


@contextmanager
def training(folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A training that is told to save and to leave when the block ends, if it goes on still."""
    process = command(folder, "pipelines.train")
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        finish(process, folder, (0, 75))
    finally:
        process.kill()
        process.wait()


def seen(folder: Path) -> int:
    """Images that the training in the folder has seen; 0 before its first point of the curves."""
    for file in folder.glob(".runs/train-*/curves.jsonl"):
        for line in reversed(file.read_text().splitlines()):
            with suppress(ValueError):  # the last one may be half written
                return int(json.loads(line)["nimg"])
    return 0


def wait_for_steps(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait for the first point of the curves, or for the end of the process."""
    while not seen(folder) and process.poll() is None:
        time.sleep(0.2)


def train_settings(total_kimg: float, game: bool) -> dict[str, Any]:
    """Changes of the preset for a training so long, with the game from a tenth of it on."""
    total = max(2.0, round(total_kimg))
    structure = {"start_kimg": total / 10} if game else {"kind": "none"}
    tracking = {"sample_every_kimg": max(1.0, total / 20)}
    return {"train": {"total_kimg": total}, "structure": structure, "tracking": tracking}


def images_a_second(folder: Path, game: bool, seconds: float) -> float:
    """Speed of the training, measured for so many seconds in a run that is then removed."""
    endless = train_settings(1e5, game) | {"tracking": {"enabled": False}}
    endless["train"]["log_every_kimg"] = 0.25
    if game:
        endless["structure"] = {"start_kimg": 1.0}
    write_params(folder, endless)
    with training(folder) as process:
        wait_for_steps(folder, process)
        begun, before = time.monotonic(), seen(folder)
        while time.monotonic() - begun < seconds and process.poll() is None:
            time.sleep(0.2)
        speed = (seen(folder) - before) / (time.monotonic() - begun)
    shutil.rmtree(folder / ".runs")
    return speed


def watch_training(
    folder: Path, minutes: float, game: bool, every_s: float, pilot_s: float = PILOT_S
) -> tuple[Samples, int]:
    """Samples of a training of about so many minutes, and the images that it has seen."""
    from pipelines.console.progress import progress

    if not (folder / "outputs/dataset").exists():
        write_params(folder, {"tracking": {"enabled": False}})
        finish(command(folder, "pipelines.prepare"), folder)
    speed = images_a_second(folder, game, pilot_s)
    write_params(folder, train_settings(LONGER * speed * 60 * minutes / 1000, game))
    with training(folder) as process, progress("long run: seconds", round(60 * minutes)) as bar:
        wait_for_steps(folder, process)
        looks = {
            "memory": lambda: memory_mb(process.pid),
            "mlflow.db": lambda: size_mb(folder / "mlflow.db"),
            ".runs": lambda: size_mb(folder / ".runs"),
        }
        samples = watch(
            looks, every_s, 60 * minutes, lambda: process.poll() is None, lambda s: bar(round(s))
        )
    return samples, seen(folder)


def repeat_pipeline(folder: Path, times: int) -> list[dict[str, float]]:
    """MB of DVC's cache, .runs and mlflow.db after `dvc repro` with each of so many seeds."""
    from pipelines.console.progress import progress

    rows = []
    with progress("long run: dvc repro", times) as bar:
        for seed in range(times):
            bar(seed)
            write_params(folder, TINY | {"seed": seed})
            finish(command(folder, "dvc", "repro"), folder)
            places = {"DVC's cache": ".dvc/cache", ".runs": ".runs", "mlflow.db": "mlflow.db"}
            rows.append({name: size_mb(folder / place) for name, place in places.items()})
        bar(times)
    return rows


def show(name: str, growth: Mapping[str, Growth]) -> None:
    """Print a table of what grows."""
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "MB after warm-up", "MB at the end", "MB a minute (95%)", title=name)
    for what, row in growth.items():
        table.add_row(what, f"{row.first:.1f}", f"{row.last:.1f}", row.told)
    Console().print(table)


def thinned(samples: Samples) -> dict[str, list[float]]:
    """At most KEPT_POINTS of the samples, rounded."""
    step = max(1, -(-len(samples.minutes) // KEPT_POINTS))
    kept = {"minutes": samples.minutes, **samples.values}
    return {name: [round(v, 3) for v in found[::step]] for name, found in kept.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="of the training")
    parser.add_argument("--game", action="store_true", help="train with the structure game")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--seeds", type=int, default=3, help="of `dvc repro`; 0: leave it out")
    parser.add_argument("--no-results", action="store_true", help="add nothing to long_run.json")
    args = parser.parse_args()
    if args.minutes <= 0 or args.every <= 0 or args.seeds < 0:
        parser.error("--minutes and --every are above 0, --seeds is 0 or more")
    from benchmarks.side_by_side import machine

    found: dict[str, Any] = {}
    name = "training with the game" if args.game else "training"
    with tempfile.TemporaryDirectory(prefix="sadm-long-") as place:
        folder = Path(place)
        set_up(folder)
        samples, images = watch_training(folder, args.minutes, args.game, args.every)
        growth = samples.growth()
        show(f"{name}: {args.minutes:g} minutes, {images:,} images seen", growth)
        found[name] = {
            "minutes": args.minutes,
            "images": images,
            "growth_mb_a_minute": {what: asdict(row) for what, row in growth.items()},
            "samples_mb": thinned(samples),
        }
        if args.seeds:
            for left in (".runs", "mlflow.db"):
                shutil.rmtree(folder / left, ignore_errors=True)
                (folder / left).unlink(missing_ok=True)
            rows = repeat_pipeline(folder, args.seeds)
            for what in rows[0]:
                print(f"dvc repro: {what}: MB " + ", ".join(f"{row[what]:.1f}" for row in rows))
            found["dvc repro"] = {"seeds": args.seeds, "mb_after_each": rows}
    if not args.no_results:
        keep(found, machine())


def keep(found: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Put what was found into RESULTS, in place of what was found of the same before."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, row in found.items():
        kept[name] = {"date": f"{date.today()}", "machine": dict(about), **row}
    write_text(RESULTS, json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
