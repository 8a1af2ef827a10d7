"""Write into dvc.yaml which code files each stage imports; run it when imports have changed."""

import argparse
from pathlib import Path

from foundation.atomic_files import write_text
from pipelines.console.command import run_stage
from pipelines.upkeep.dvc_file import with_code

DVC_FILE = Path("dvc.yaml")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="only say whether it is up to date")
    check = arguments.parse_args().check
    before = DVC_FILE.read_text(encoding="utf-8")
    after = with_code(before)
    if check and after != before:
        raise ValueError(
            "dvc.yaml names other code than stages import: python -m pipelines.upkeep.stage_files"
        )
    if after != before:
        write_text(DVC_FILE, after)
    print(f"stage_files: dvc.yaml {'is up to date' if after == before else 'was written anew'}")


if __name__ == "__main__":
    run_stage(main)
