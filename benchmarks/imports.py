"""What it takes to start: processor seconds of imports, of reading params, and of each --help.

Usage: python -m benchmarks.imports [--runs 5]
Each row is the median of several fresh processes, with Python's own start. The rows of stages tell
what comes on top of `import torch`: first for the module alone, then with what its functions import
when it runs. tests/test_imports.py counts modules instead. Three minutes.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.workspace.imports import find_module, read_source
from pipelines.workspace.stage_code import STAGE_PARAMS

READ_PARAMS, HELP, STAGE = 0.5, 0.7, 1.5
"""Aims in seconds: reading params, any --help, a stage beyond torch."""

LOAD = "from pipelines.params import load_params; load_params('params.yaml')"


def seconds(words: Sequence[str], runs: int) -> float:
    """Median processor time of `python WORDS` in a fresh process, its children's included.

    Raises RuntimeError with what the process said where it fails.
    """
    taken = []
    for _ in range(runs):
        before = os.times()
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
        after = os.times()
        if done.returncode:
            raise RuntimeError(f"python {' '.join(words)} failed: {done.stderr.strip()}")
        user = after.children_user - before.children_user
        taken.append(user + after.children_system - before.children_system)
    return statistics.median(taken)


def beyond_torch(modules: Sequence[str], runs: int) -> float:
    """Median processor time of importing the modules in a process that has torch already."""
    text = (
        "import time, torch; start = time.process_time(); "
        f"import {', '.join(modules)}; print(time.process_time() - start)"
    )
    words = [sys.executable, "-c", text]
    printed = [
        subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        for _ in range(runs)
    ]
    return statistics.median(map(float, printed))


def commands() -> list[str]:
    """The modules of pipelines/ that one types."""
    paths = sorted(Path("pipelines").glob("*.py"))
    return [path.stem for path in paths if '__name__ == "__main__"' in path.read_text()]


def imports_of_a_run(module: str) -> list[str]:
    """The module, and those of the project that its functions import."""
    path = find_module(module)
    assert path is not None, module
    inside = [found.module for found in read_source(path, module).imports if found.within]
    return [module, *sorted({name for name in inside if find_module(name) is not None})]


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--runs", type=int, default=5, help="of each (default: %(default)s)")
    runs = arguments.parse_args().runs
    table = Table("what", "processor seconds", "aim", "", title=f"median of {runs}")

    def row(what: str, taken: float, aim: float | None = None) -> None:
        missed = aim is not None and taken > aim
        table.add_row(what, f"{taken:.2f}", "" if aim is None else f"{aim:g}", "over" * missed)

    row("python", seconds(["-c", "pass"], runs))
    for package in ("torch", "ray", "mlflow", "torch_geometric.utils"):
        row(f"import {package}", seconds(["-c", f"import {package}"], runs))
    row("import pipelines.params", seconds(["-c", "import pipelines.params"], runs), READ_PARAMS)
    row("load_params", seconds(["-c", LOAD], runs), READ_PARAMS)
    for stage in STAGE_PARAMS:
        module = f"pipelines.{stage}"
        row(f"import {module}, beyond torch", beyond_torch([module], runs), STAGE)
        row("  with what its run imports", beyond_torch(imports_of_a_run(module), runs), STAGE)
    for command in commands():
        taken = seconds(["-m", f"pipelines.{command}", "--help"], runs)
        row(f"python -m pipelines.{command} --help", taken, HELP)
    Console().print(table)


if __name__ == "__main__":
    main()
