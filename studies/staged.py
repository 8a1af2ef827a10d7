"""Runs the pipeline's own stages in a folder, as `dvc repro` does, for studies of the whole path.

The folder links to this project's code, for a stage reads the code that it hashes where it runs.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from foundation.atomic_files import write_text
from foundation.json_files import read_object

ROOT = Path(__file__).parents[1]
DONE = "done.json"
"""{command: processor seconds} of the stages that ended well."""


class StageError(Exception):
    """A stage ended with an error, which it has printed."""


def run_stages(
    folder: Path, params: Mapping, commands: Sequence[str], given: Mapping[str, Path] | None = None
) -> dict[str, float]:
    """Run `python -m pipelines.COMMAND` for each command that has not ended well in the folder.

    Args:
        folder: whose name should depend on all that decides the results, for a stage that has
            ended is not run again; one that was killed goes on as it does under DVC.
        params: content of the folder's params.yaml.
        commands: module and arguments, such as "evaluate --length 0.1 --sampler heun18".
        given: {name below outputs/: folder of results made elsewhere}, which are linked to.

    Returns:
        {command: processor seconds of the start that finished it}. Raises StageError.
    """
    (folder / "outputs").mkdir(parents=True, exist_ok=True)
    write_text(folder / "params.yaml", yaml.safe_dump(dict(params), sort_keys=False))
    code = [init.parent for init in ROOT.glob("*/__init__.py")]
    links = {folder / place.name: place for place in (*code, ROOT / "dvc.yaml")}
    links |= {folder / "outputs" / name: place for name, place in (given or {}).items()}
    for link, place in links.items():
        if not link.is_symlink():
            link.symlink_to(place.resolve())
    done = read_object(folder / DONE) if (folder / DONE).is_file() else {}
    surroundings = {k: v for k, v in os.environ.items() if k != "DVC_ROOT"}
    for command in commands:
        if command in done:
            continue
        before = _seconds()
        words = [sys.executable, "-m", *f"pipelines.{command}".split()]
        if subprocess.run(words, cwd=folder, env=surroundings, check=False).returncode:
            raise StageError(f"{folder}: python -m pipelines.{command} failed, see above")
        done[command] = round(_seconds() - before, 1)
        write_text(folder / DONE, json.dumps(done, indent=1) + "\n")
    return done


def _seconds() -> float:
    """Processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
