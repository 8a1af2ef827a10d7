"""What it takes to start: processor seconds of imports, of reading params, and of each --help.

Usage: python -m benchmarks.run imports
Each row is the median of RUNS fresh processes, with Python's own start. The rows of stages tell
what comes on top of `import torch`: first for the module alone, then with what its functions import
when it runs. tests/test_imports.py counts modules instead.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.side_by_side import Row
from pipelines.workspace.imports import find_module, read_source
from pipelines.workspace.stage_code import STAGE_PARAMS, stage_module

RUNS = 5
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


def commands(root: Path = Path()) -> list[str]:
    """What one types after `python -m`: the modules in packages of `root` that are commands."""
    packages = [path.parent for path in root.glob("*/__init__.py")]
    files = [
        path.relative_to(root).with_suffix("")
        for package in packages
        for path in package.rglob("*.py")
        if path.name == "__main__.py" or '\nif __name__ == "__main__"' in path.read_text()
    ]
    return sorted(".".join(file.parts).removesuffix(".__main__") for file in files)


def imports_of_a_run(module: str) -> list[str]:
    """The module, and those of the project that its functions import."""
    path = find_module(module)
    assert path is not None, module
    inside = [found.module for found in read_source(path, module).imports if found.within]
    return [module, *sorted({name for name in inside if find_module(name) is not None})]


def rows() -> Iterator[Row]:
    """Python itself and large packages; then what is the project's, with its aims."""

    def started(what: str, words: Sequence[str], aim: float | None = None) -> Row:
        return Row(what, seconds(words, RUNS), aim=aim)

    yield started("python", ["-c", "pass"])
    for package in ("torch", "ray", "mlflow", "torch_geometric.utils"):
        yield started(f"import {package}", ["-c", f"import {package}"])
    yield started("import pipelines.params", ["-c", "import pipelines.params"], READ_PARAMS)
    yield started("load_params", ["-c", LOAD], READ_PARAMS)
    for stage in STAGE_PARAMS:
        module = stage_module(stage)
        yield Row(f"import {module}, beyond torch", beyond_torch([module], RUNS), aim=STAGE)
        everything = beyond_torch(imports_of_a_run(module), RUNS)
        yield Row("  with what its run imports", everything, aim=STAGE)
    for command in commands():
        yield started(f"python -m {command} --help", ["-m", command, "--help"], HELP)
