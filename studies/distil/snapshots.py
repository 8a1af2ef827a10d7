"""How good was a student on its way? Judges the snapshots of runs of the study.

  python -m studies.distil.snapshots --teacher WEIGHTS --arms matching --seeds 21,22,23 --kimg 40,80

Takes the runs from --work, where `python -m studies.distil` left them, and writes a row for each
snapshot that has none. It stands for a run of that length only where nothing in the training knows
the length: `matching` and its like, but neither `consistency`, whose stages are shares of the
whole, nor a game, whose rate falls to the end.
"""

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from foundation.atomic_files import write_text
from studies.distil.arms import ARMS
from studies.distil.inputs import add_inputs, given_of

if TYPE_CHECKING:  # --help does without torch
    from studies.distil.unit import Given


def judge_snapshot(given: "Given", name: str, seed: int, kimg: float) -> None:
    """Write the row of an arm's snapshot after `kimg`, unless it stands.

    Raises ValueError for an arm whose training knows its length, and where there is no snapshot.
    """
    from models.ema_reconstruction import snapshot_name
    from studies.distil import unit
    from studies.standing_row import standing_row

    arm = ARMS[name]
    if arm.stages is not None or arm.game is not None:
        raise ValueError(f"--arms {name}: its training depends on its length; train it with --kimg")
    mark = unit.unit_mark(given, arm, unit.unit_settings(given, arm, seed))
    path = unit.row_path(given, name, replace(arm, kimg=kimg), seed)
    if standing_row(path, f"{mark}-{kimg:g}") is not None:
        return
    nimg = unit.unit_settings(given, replace(arm, kimg=kimg), seed).total_nimg
    weights = (
        unit.run_folder(given, name, seed, mark) / "snapshots" / snapshot_name(nimg, unit.LENGTH)
    )
    if not weights.is_file():
        raise ValueError(f"{weights} does not exist: run python -m studies.distil --arms {name}")
    row = {
        "arm": name,
        "seed": seed,
        "kimg": kimg,
        "lr": arm.lr,
        "variant": "",
        "fingerprint": f"{mark}-{kimg:g}",
        "nimg": nimg,
        "metrics": {
            str(count): unit.judged(given, weights, arm.sampler(count), f"{path.stem}-{count}")
            for count in arm.evaluations
        },
    }
    write_text(path, json.dumps(row, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Judge each snapshot, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.distil.snapshots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_inputs(parser)
    add = parser.add_argument
    add("--arms", default="matching", help="default: %(default)s")
    add("--seeds", default="21,22,23", help="default: %(default)s")
    add("--kimg", default="40", help="after how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    from studies.distil.report import table

    given = given_of(options)
    try:
        for seed in map(int, options.seeds.split(",")):
            for name in options.arms.split(","):
                for kimg in map(float, options.kimg.split(",")):
                    judge_snapshot(given, name, seed, kimg)
    except (ValueError, OSError, KeyError) as error:
        parser.error(str(error))
    print(table(options.rows))


if __name__ == "__main__":
    main()
