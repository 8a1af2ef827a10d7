"""Runs a worker file in several processes at once, for tests of gloo groups."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_ranks(command, size, *arguments, timeout=240):
    """`python COMMAND RANK ARGUMENTS` for each of `size` ranks, one thread each; all end well."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
    processes = [
        subprocess.Popen(
            [sys.executable, *command, str(rank), *map(str, arguments)],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=timeout)
        assert process.returncode == 0, errors
