"""Stage kinds: which solver, grid, source, ... params choose, and the files of these, for DVC.

The other stages depend on what this one writes, so that an edit to a kind that they do not use
runs none of them again.
"""

import json
import shutil

from foundation.atomic_files import write_text
from pipelines.console.command import parser, run_stage
from pipelines.settings.yaml_file import read_yaml
from pipelines.workspace.kind_lists import kind_lists
from pipelines.workspace.paths import KINDS


def main() -> None:
    lists = lists_of(parser(__doc__).parse_args().params)
    shutil.rmtree(KINDS, ignore_errors=True)
    for name, content in lists.items():
        write_text(KINDS / f"{name}.json", json.dumps(content, indent=1) + "\n")


def lists_of(path: str) -> dict[str, dict]:
    """The lists of a params file. Raises ParamsError where it cannot be used."""
    try:
        return kind_lists(read_yaml(path))
    except (AttributeError, KeyError, TypeError):
        # Something is left out or amiss. Params know the defaults, and are slower to import.
        from pipelines.params import load_params

        return kind_lists(load_params(path).model_dump(mode="json"))


if __name__ == "__main__":
    run_stage(main)
