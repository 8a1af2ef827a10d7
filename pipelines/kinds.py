"""Stage kinds: list for DVC the code files of the solvers, grids, sources, ... that params choose.

The other stages depend on these lists, so that DVC runs a stage again only after an edit to a kind
that the stage uses.
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
    """The lists of a params file. Raises ParamsError if the file is not usable."""
    try:
        return kind_lists(read_yaml(path))
    except (AttributeError, KeyError, TypeError):
        # A key is missing or wrong. Params have the defaults, but are slower to import.
        from pipelines.params import load_params

        return kind_lists(load_params(path).model_dump(mode="json"))


if __name__ == "__main__":
    run_stage(main)
