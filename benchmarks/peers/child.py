"""Seconds and peak memory of a piece of work in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.peers.optional import PeerMissing

MB = 1e6
ROOT = Path(__file__).resolve().parents[2]
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MISSING_EXIT = 3


@dataclass(frozen=True)
class Taken:
    """What the work has taken."""

    seconds: float
    peak_mb: float
    """The largest resident memory during the work, beyond what was there before it."""
    result: Any
    """What the work returned, through JSON."""


def in_a_child(work: str, *arguments: Any) -> Taken:
    """Prepare and do some work in a fresh process.

    Args:
        work: "module:function"; function(*arguments) prepares, and returns the work as a function
            without arguments, whose call alone is measured.
        arguments: JSON-able.

    Raises PeerMissing as the function does, and RuntimeError with the last line of a failed one.
    """
    command = [sys.executable, "-c", "from benchmarks.peers.child import work_here; work_here()"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [*command, work, json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode == MISSING_EXIT:
        raise PeerMissing(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(f"{work} failed: {done.stderr.strip().splitlines()[-1:]}")
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def work_here() -> None:
    """What the child does: WORK ARGUMENTS. Its last line is JSON."""
    module, _, function = sys.argv[1].partition(":")
    try:
        work: Callable[[], Any] = getattr(import_module(module), function)(*json.loads(sys.argv[2]))
    except PeerMissing as error:
        print(error, file=sys.stderr)
        raise SystemExit(MISSING_EXIT) from None
    before = forget_peak()
    begin = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begin
    taken = {"seconds": seconds, "peak_mb": (peak() - before) / MB, "result": result}
    print(json.dumps(taken))


def forget_peak() -> float:
    """Let the peak begin at what is resident now; returns that, in bytes."""
    import psutil

    with suppress(OSError):  # Linux knows this; elsewhere the peak of all the process counts
        CLEAR.write_text("5")
    return float(psutil.Process().memory_info().rss)


def peak() -> float:
    """Largest resident memory since `forget_peak`, in bytes."""
    try:
        lines = STATUS.read_text().splitlines()
        return 1024.0 * next(int(x.split()[1]) for x in lines if x.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most) * (1 if sys.platform == "darwin" else 1024)
