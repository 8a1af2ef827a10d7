"""How long must the default run train, and what does its game show?

  python -m studies.default_run --seeds 20,24,25
  python -m studies.default_run --arms adam120,graph --seeds 41,42,43 \\
      --rows studies/rows/default_run/confirmed

Runs the pipeline's stages on the embedded digits with each arm (studies/default_run/arms.py) and
seed, and judges 2,048 images of a long sampler (35 evaluations), of one of five evaluations, and of
the same with what the game has learned. Each finished arm and seed is a row in --rows; a row that
stands is not computed again. Prints the table.
"""

import argparse
from pathlib import Path

from studies.default_run.arms import ARMS
from studies.named_arms import named_arms
from studies.staged import Limit, OutOfMinutes, StageError, add_minutes
from studies.tables import markdown, rows_by, spread

SHOWN = {"kid": 4, "fd": 2, "recall": 3, "coverage": 3, "structure_gap": 3, "copy_ratio": 3}


def main(arguments: list[str] | None = None) -> None:
    """Compute the units that have no row, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.default_run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--arms", default=",".join(ARMS), help="default: all")
    add("--seeds", default="20,24,25", help="default: %(default)s")
    add("--work", type=Path, default=Path(".runs/studies/default_run"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/default_run"), metavar="FOLDER")
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    add_minutes(parser)
    options = parser.parse_args(arguments)
    names = named_arms(parser, options.arms, ARMS)
    if not options.list:
        from studies.default_run.unit import unit

        limit = Limit(options.minutes)
        try:
            for seed in (int(part) for part in options.seeds.split(",")):
                for name in names:
                    row = unit(name, ARMS[name], seed, options.work, options.rows, limit)
                    kid = {item: round(of["kid"]["value"], 4) for item, of in row["items"].items()}
                    print(f"{name}-{seed}: {row['training_seconds']:.0f} s, KID {kid}", flush=True)
        except OutOfMinutes as stopped:
            print(stopped)
        except (ValueError, OSError, StageError) as error:
            parser.error(str(error))
    print(table(options.rows))


def table(rows: Path) -> str:
    """Markdown: each arm and sampler, mean and deviation over the seeds, below the floor."""
    found = rows_by(rows, "arm")
    if not found:
        return f"no row stands in {rows}\n"
    head = ["arm", "sampler", "seeds", "kimg", "seconds of training", *SHOWN]
    first = next(iter(found.values()))[0]["items"]["long"]
    floor = [
        f"{first[key]['floor']:.{d}f} ± {first[key]['floor_std']:.{d}f}" for key, d in SHOWN.items()
    ]
    lines = [["real images (floor)", "", "", "", "", *floor]]
    order = list(ARMS)
    for (arm,), same in sorted(found.items(), key=lambda pair: order.index(pair[0][0])):
        for sampler in same[0]["items"]:
            values = [
                spread([row["items"][sampler][key]["value"] for row in same], digits)
                for key, digits in SHOWN.items()
            ]
            seconds = spread([row["training_seconds"] for row in same], 0)
            kimg = f"{same[0]['kimg']:g}"
            lines.append([arm, sampler, str(len(same)), kimg, seconds, *values])
    return markdown(head, lines)


if __name__ == "__main__":
    main()
