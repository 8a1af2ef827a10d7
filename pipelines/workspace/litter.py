"""Removes what killed processes have left: files they were writing, and Ray's folders of runs."""

import re
import shutil
from pathlib import Path

from foundation.unfinished_files import sweep
from pipelines.workspace.run_folder import RunInUse, locked

START = re.compile(r"((?:train|autoencoder|distil-\w+)-[0-9a-f]{16})-[0-9a-f]{12}")
"""Name of Ray's folder for one start of a run."""


def sweep_up(root: Path) -> None:
    """Remove what no living process can be using in .runs and reports.

    These are files that killed processes were writing, and what Ray kept of starts of runs that are
    finished or gone; it explains their failures, which are over.
    """
    runs = Path(root) / ".runs"
    for folder in (runs, Path("reports")):
        sweep(folder)
    for path in sorted((runs / "ray").glob("*-*")):
        start = START.fullmatch(path.name)
        if start is None:
            continue
        run = runs / start[1]
        if run.exists() and not (run / "train.json").is_file():
            continue
        try:
            if Path(f"{run}.lock").exists():  # without one nobody trains the run
                with locked(run):
                    pass
        except RunInUse:
            continue
        shutil.rmtree(path, ignore_errors=True)
