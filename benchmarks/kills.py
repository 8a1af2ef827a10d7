"""Kills trainings at random, again and again, and asks whether their weights are those of no kill.

    python -m benchmarks.kills --times 200

Every method of training has runs of seconds in processes of their own. A process gets a signal at a
random moment: SIGKILL, or SIGTERM, SIGHUP or Ctrl-C, which ask it to save and to leave. After some
kills the newest checkpoint is cut off, a bit of it is turned, or it is removed. The same start
then goes on, until the run ends. Checked are: the exit code; that no more than the steps since the
newest checkpoint are lost, or since the one before it where the newest is damaged; at the end every
tensor of the last checkpoint, every snapshot, curves.csv and train.json, byte for byte. Results are
added to benchmarks/kills.json; exit code 1 if a run differs.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.kill_settings import METHODS, settings_of
from foundation.atomic_files import write_text

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from training.events import Event
    from training.run_settings import RunSettings

RESULTS = Path("benchmarks/kills.json")
KILLS = (signal.SIGKILL,) * 3 + (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
ENDS = {signal.SIGTERM: {75, 143}, signal.SIGHUP: {75, 129}, signal.SIGINT: {130}}
"""Exit codes that a signal may lead to: saved, or, before the first step, stopped at once."""
DAMAGED = 0.25
"""Share of kills after which the newest checkpoint is damaged."""


@dataclass
class Told:
    """What happened to the trainings of one method."""

    kills: Counter[str]
    damaged: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)


def start(settings: "RunSettings", dataset: "ImageDataset", folder: Path) -> int:
    """Train in a process of its own, as a stage does; returns its number.

    It is a copy of this process, so that torch is there already, and says in `folder`.started at
    how many images it began.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        from foundation.workers import World
        from pipelines.stages.leaving import leaving_on_signals
        from pipelines.tracking.stop_signals import stop_signals
        from training.events import Started
        from training.loop import train

        os.dup2(os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        folder.mkdir(parents=True, exist_ok=True)

        def report(event: "Event") -> None:
            if isinstance(event, Started):
                Path(f"{folder}.started").write_text(str(event.nimg))

        def stop(number: int, frame: object) -> None:
            raise SystemExit(128 + number)

        with stop_signals(stop), leaving_on_signals(folder, report) as told:
            train(settings, dataset, folder, World(), told)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)


def attempt(process: int, seconds: float, blow: int) -> tuple[bool, int]:
    """Wait so many seconds, then send a process the signal: (whether it was sent, exit code)."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return False, os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, blow)
    _, status = os.waitpid(process, 0)
    return True, os.waitstatus_to_exitcode(status)


def damage(path: Path, how: int) -> None:
    """Cut a file off, turn one bit of it, or remove it."""
    if how == 0:
        os.truncate(path, path.stat().st_size // 2)
    elif how == 1:
        content = bytearray(path.read_bytes())
        content[len(content) * 3 // 4] ^= 16
        path.write_bytes(content)
    else:
        path.unlink()


def content(folder: Path) -> dict[str, Any]:
    """What a finished run left, without the checkpoint before the last.

    Of checkpoints what they hold, since safetensors writes their metadata in any order.
    """
    from training.state.checkpoint import load_latest

    names = [*(folder / "snapshots").iterdir(), folder / "curves.csv", folder / "train.json"]
    files: dict[str, Any] = {path.name: path.read_bytes() for path in names}
    tensors, plain = load_latest(folder / "checkpoints", print) or ({}, {})
    held = {n: (str(t.dtype), t.shape, t.numpy().tobytes()) for n, t in tensors.items()}
    return files | {"checkpoint": (held, plain)}


def survive(
    settings: "RunSettings", dataset: "ImageDataset", folder: Path, times: int, dice: random.Random
) -> Told:
    """Kill runs of these settings in `folder` so many times, and compare each that has ended."""
    import training.loop  # noqa: F401
    from foundation.workers import World
    from training.methods.build import build_method
    from training.state.checkpoint import checkpoint_nimg, checkpoints

    # Imports all that a training needs, which its copies then have: kills meet steps, not imports.
    build_method(settings, dataset, World())
    begun = time.monotonic()
    _, status = os.waitpid(start(settings, dataset, folder / "whole"), 0)
    seconds = time.monotonic() - begun
    told = Told(Counter())
    if status:
        said = Path(f"{folder / 'whole'}.log").read_text()
        told.faults = [f"the run that nobody kills failed: {said}"]
        return told
    expected, broken = content(folder / "whole"), None
    while sum(told.kills.values()) < times or (folder / f"run{told.runs}").exists():
        run = folder / f"run{told.runs}"
        blow, started = dice.choice(KILLS), Path(f"{run}.started")
        whole = [path for path in checkpoints(run / "checkpoints") if path != broken]
        promised, broken = [checkpoint_nimg(path) for path in whole][-1:], None
        started.unlink(missing_ok=True)
        enough = sum(told.kills.values()) >= times
        wait = 600.0 if enough else dice.uniform(0, seconds)
        sent, code = attempt(start(settings, dataset, run), wait, blow)
        if started.exists() and promised and [int(started.read_text())] != promised:
            told.faults.append(f"{run.name} began at {started.read_text()}, not at {promised[0]}")
        if not sent:
            if code or content(run) != expected:
                told.faults.append(f"{run.name} ended with code {code}, or with other bytes")
                run.rename(folder / f"kept{told.runs}")
            told.runs += 1
            continue
        told.kills[signal.Signals(blow).name] += 1
        # A signal that comes just at the end finds the run finished.
        if blow in ENDS and code not in ENDS[blow] | {0}:
            told.faults.append(f"{run.name}: exit code {code} after {signal.Signals(blow).name}")
        there = checkpoints(run / "checkpoints")
        if len(there) > 1 and not (run / "train.json").exists() and dice.random() < DAMAGED:
            damage(there[-1], dice.randrange(3))
            told.damaged += 1
            broken = there[-1]
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=200, help="kills, over all methods")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the signals")
    parser.add_argument("--no-results", action="store_true", help="add nothing to kills.json")
    args = parser.parse_args()
    if args.times < 1:
        parser.error("--times: give 1 or more")
    dice, rows = random.Random(args.seed), {}
    with tempfile.TemporaryDirectory(prefix="sadm-kills-") as name:
        for number, method in enumerate(METHODS):
            folder = Path(name) / str(number)
            settings, dataset = settings_of(method, folder)
            share = args.times // len(METHODS) + (number < args.times % len(METHODS))
            told = survive(settings, dataset, folder, share, dice)
            rows[method] = told
            kills = ", ".join(f"{count} {name}" for name, count in sorted(told.kills.items()))
            print(
                f"{method}: {sum(told.kills.values())} kills ({kills}), {told.damaged} damaged "
                f"checkpoints, {told.runs} runs ended, {len(told.faults)} faults",
                flush=True,
            )
            for fault in told.faults:
                print(f"  {fault}", file=sys.stderr, flush=True)
    if not args.no_results:
        keep(rows)
    if any(told.faults for told in rows.values()):
        sys.exit(1)


def keep(rows: dict[str, Told]) -> None:
    """Add the counts to RESULTS."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"methods": {}}
    for method, told in rows.items():
        row = kept["methods"].setdefault(
            method, {"kills": {}, "damaged": 0, "runs": 0, "faults": 0}
        )
        row["kills"] = dict(sorted((Counter(row["kills"]) + told.kills).items()))
        row["damaged"] += told.damaged
        row["runs"] += told.runs
        row["faults"] += len(told.faults)
    kept["last"] = f"{date.today()}"
    write_text(RESULTS, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
