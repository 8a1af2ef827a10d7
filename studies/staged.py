"""Runs the pipeline's own stages in a folder, as `dvc repro` does, for studies of the whole path.

The folder links to this project's code, for a stage reads the code that it hashes where it runs.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from foundation.atomic_files import write_text
from foundation.json_files import read_object

ROOT = Path(__file__).parents[1]
DONE = "done.json"
"""{command: processor seconds of all its starts} of the stages that ended well."""
SPENT = "spent.json"
"""The same of every stage that was ever started, whether it ended well, failed or was killed."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
"""A thread that waits for others uses processor time too: one thread makes arms comparable."""
NOTED_EVERY = 10.0
"""Wall-clock seconds between two notes of what a running stage has used."""
MINUTES = 45.0


class StageError(Exception):
    """A stage ended with an error, which it has printed."""


class OutOfMinutes(Exception):
    """A unit has used the wall-clock minutes of this start; the next start goes on."""


@dataclass(frozen=True)
class Limit:
    """Wall-clock minutes from now on, after which no further stage begins."""

    minutes: float = MINUTES
    since: float = field(default_factory=time.monotonic)

    def check(self, what: str) -> None:
        """Raises OutOfMinutes, which says before what the minutes were used."""
        used = (time.monotonic() - self.since) / 60
        if used > self.minutes:
            raise OutOfMinutes(
                f"stopped before {what} after {used:.1f} of --minutes {self.minutes:g}: the same "
                "command goes on"
            )


def add_minutes(parser: argparse.ArgumentParser) -> None:
    """Give a study's command the option --minutes."""
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=MINUTES,
        help="wall-clock minutes of one start after which a unit begins no further stage; the "
        "same command goes on; default: %(default)g",
    )


def run_stages(
    folder: Path,
    params: Mapping,
    commands: Sequence[str],
    given: Mapping[str, Path] | None = None,
    limit: Limit | None = None,
) -> dict[str, float]:
    """Run `python -m pipelines.COMMAND` for each command that has not ended well in the folder.

    Args:
        folder: whose name should depend on all that decides the results, for a stage that has
            ended is not run again; one that was killed goes on as it does under DVC.
        params: content of the folder's params.yaml.
        commands: module and arguments, such as "evaluate --length 0.1 --sampler heun18".
        given: {name below outputs/: folder of results made elsewhere}, which are linked to.
        limit: asked before each stage; None: none.

    Returns:
        {command: processor seconds of all its starts, with one thread}. Raises StageError,
        OutOfMinutes.
    """
    (folder / "outputs").mkdir(parents=True, exist_ok=True)
    write_text(folder / "params.yaml", yaml.safe_dump(dict(params), sort_keys=False))
    code = [init.parent for init in ROOT.glob("*/__init__.py")]
    links = {folder / place.name: place for place in (*code, ROOT / "dvc.yaml")}
    links |= {folder / "outputs" / name: place for name, place in (given or {}).items()}
    for link, place in links.items():
        if not link.is_symlink():
            link.symlink_to(place.resolve())
    done = _kept(folder / DONE)
    for command in commands:
        if command in done:
            continue
        if limit is not None:
            limit.check(f"{command.split()[0]} in {folder}")
        if _run(folder, command):
            raise StageError(f"{folder}: python -m pipelines.{command} failed, see above")
        done[command] = _kept(folder / SPENT)[command]
        _keep(folder / DONE, done)
    return done


def _run(folder: Path, command: str) -> int:
    """Exit status of the stage; adds what this start of it uses to the folder's SPENT."""
    spent, before = _kept(folder / SPENT), _seconds()
    earlier = spent.get(command, 0.0)

    def note(seconds: float) -> None:
        _keep(folder / SPENT, spent | {command: round(earlier + seconds, 1)})

    environment = {k: v for k, v in os.environ.items() if k != "DVC_ROOT"} | ONE_THREAD
    words = [sys.executable, "-m", *f"pipelines.{command}".split()]
    stage = subprocess.Popen(words, cwd=folder, env=environment)
    try:
        while True:
            try:
                return stage.wait(NOTED_EVERY)
            except subprocess.TimeoutExpired:
                with suppress(psutil.Error):  # the stage has just ended
                    note(_seconds_of(stage.pid))  # what stands if this program itself is killed
    finally:
        stage.kill()  # does nothing to a stage that has ended
        stage.wait()
        note(_seconds() - before)


def _seconds() -> float:
    """Processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds_of(number: int) -> float:
    """Processor seconds so far of a running process and of its children that have ended."""
    used = psutil.Process(number).cpu_times()
    return used.user + used.system + used.children_user + used.children_system


def _kept(file: Path) -> dict[str, float]:
    return read_object(file) if file.is_file() else {}


def _keep(file: Path, seconds: Mapping[str, float]) -> None:
    write_text(file, json.dumps(seconds, indent=1) + "\n")


def _minutes(text: str) -> float:
    minutes = float(text)
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return minutes
