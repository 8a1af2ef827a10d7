"""What is a way of training worth? Time to quality beside a control, paired by seed.

  python -m studies.convergence --arms log_normal,adaptive,muon --seeds 21,22,23
  python -m studies.convergence --list --picture docs/images/convergence.png

Trains each arm (studies/convergence/arms.py) and measures 25 snapshots: the plain loss on held-out
images at fixed noise, at the same levels for every arm. An arm has reached the quality of its
control, the control's final loss of the same seed, from the first snapshot on after which none is
worse; the ratio of both times is shown in images and in processor seconds. An arm that never
reaches it is counted as such. Images drawn after a quarter, half, three quarters and all of the
training confirm it. Each finished arm and seed is a row in --rows; a row that stands is not
computed again, and a training that was stopped goes on. --lr on seed 20 tunes an arm's rate.

The arms of transfer begin with the weights of --source, of other images, of another resolution or
of another network, and --params, --dataset and --reference are of the images to be learned.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from studies.convergence.arms import ARMS
from studies.named_arms import named_arms


def main(arguments: list[str] | None = None) -> None:
    """Train and measure each unit, print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.convergence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--params", default="presets/fashion_mnist.yaml", help="default: %(default)s")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--work", type=Path, default=Path(".runs/studies/convergence"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/convergence"), metavar="FOLDER")
    plain = ",".join(name for name, arm in ARMS.items() if not arm.transfer)
    add("--arms", default=plain, help="default: all but those of transfer")
    add("--source", type=Path, metavar="FILE", help="weights that arms of transfer begin with")
    add("--seeds", default="21,22,23", help="default: %(default)s; 20 is for tuning")
    add("--kimg", type=float, default=200.0, help="length of each training (default: %(default)g)")
    add("--lr", type=float, help="learning rate (default: the arm's own)")
    add("--images", type=int, default=2048, help="drawn and judged four times; 0: none")
    add("--held-out", type=int, default=2048, help="images that losses are measured on")
    add("--list", action="store_true", help="print the tables of the rows that stand, and stop")
    add("--picture", type=Path, metavar="FILE", help="draw the curves of --arms (a PNG)")
    options = parser.parse_args(arguments)
    names = named_arms(parser, options.arms, ARMS)
    from studies.convergence.report import draw, tables

    try:
        if not options.list:
            run(options, names, [int(part) for part in options.seeds.split(",")])
        if options.picture is not None:
            draw(options.rows, names, options.picture)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(tables(options.rows))


def run(options: argparse.Namespace, names: list[str], seeds: list[int]) -> None:
    """All units that have no row yet. Raises ValueError for options that cannot be."""
    from pipelines.console.command import check_argument
    from pipelines.params import load_params
    from studies.convergence.unit import Given, unit

    check_argument("--kimg", options.kimg, 0, 1_000_000, "longer than any training here")
    if not options.kimg > 0:
        raise ValueError(f"--kimg: {options.kimg:g} kimg is no training: above 0")
    check_argument("--held-out", options.held_out, 4, 1_000_000, "all are kept in memory")
    if options.images and options.images < 16:
        raise ValueError(f"--images: {options.images} are too few to judge: at least 16, or 0")
    given = Given(
        load_params(options.params),
        options.dataset,
        options.reference,
        options.work,
        options.rows,
        options.kimg,
        options.images,
        options.held_out,
        options.source,
    )
    for seed in seeds:
        for name in names:
            arm = ARMS[name]
            unit(given, name, arm if options.lr is None else replace(arm, lr=options.lr), seed)


if __name__ == "__main__":
    main()
