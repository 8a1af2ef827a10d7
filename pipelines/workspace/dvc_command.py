"""Runs the DVC of this Python environment, whichever `dvc` is first on the PATH."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def run_dvc(*words: str, show: Callable[[str], None] = lambda line: None) -> list[str]:
    """Run `dvc WORDS` in the current folder; returns its lines and passes each to `show`.

    Raises RuntimeError with the first error that a stage printed, else DVC's last line.
    """
    here = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": here + os.pathsep + os.environ.get("PATH", "")}
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", *words],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            show(lines[-1])
    if process.returncode:
        raise RuntimeError(last_words(lines))
    return lines


def last_words(lines: list[str]) -> str:
    """The first "error: ..." that a stage printed, else the last line that is not empty."""
    spoken = [line.strip() for line in lines if line.strip()]
    for line in spoken:
        if line.startswith("error:"):
            return line.removeprefix("error:").strip()
    return spoken[-1] if spoken else "dvc failed without a word"
