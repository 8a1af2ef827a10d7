"""Does guidance draw an attribute's values with wanted shares, and what does it cost the images?

  python -m studies.debias --source outputs/dataset --values "Sneaker:0.9,Ankle boot:0.1" \\
      --target "Sneaker:0.5,Ankle boot:0.5"
  python -m studies.emoji.install   # once, for
  python -m studies.debias --tones .runs/studies/emoji --train-images 475 --held-out 60 \\
      --images 1024 --kimg 60

Cuts a data set with the shares --values out of a prepared one, trains an unconditional denoiser on
it and the controls of studies/debias/arms.py, draws with each arm and judges the shares (fairness
discrepancy) and the images (KID to held-out images mixed as --target). Each finished arm, weight
and seed is a row DATA-ARM-WEIGHT-SEED.json in --rows; a row that stands is not computed again, and
a training that was stopped goes on. Prints the table.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from pipelines.console.command import check_argument, check_images
from studies.debias.arms import ARMS, TUNING_SEED, row_name, weighted
from studies.named_arms import named_arms
from studies.staged import StageError


def main(arguments: list[str] | None = None) -> None:
    """Compute the units that have no row, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.debias",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--tones", type=Path, metavar="FOLDER", help="emoji by skin tone, in place of --source")
    add("--values", metavar="A:SHARE,B:SHARE", help="shares of the training images")
    add("--target", metavar="A:SHARE,B:SHARE", help="shares that are wanted")
    add("--classifier", type=Path, help="weights of the judge (default: trained on the data)")
    add(
        "--params",
        default="presets/fashion_mnist.yaml",
        help="default: %(default)s; not of --tones",
    )
    add("--work", type=Path, default=Path(".runs/studies/debias"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/debias"), metavar="FOLDER")
    add("--arms", default=",".join(ARMS), help="default: all")
    add("--seeds", default="21,22,23", help=f"default: %(default)s; {TUNING_SEED} is for tuning")
    add("--weight", type=float, help="of the arms that have one (default: the arm's own)")
    add("--data", metavar="NAME", help="in the names of the rows (default: made of --values)")
    add("--train-images", type=int, default=5000, help="default: %(default)s")
    add("--held-out", type=int, default=1500, help="of each class (default: %(default)s)")
    add("--images", type=int, default=4096, help="judged of each unit (default: %(default)s)")
    add("--labelled", type=int, default=200, help="labelled images (default: %(default)s)")
    add("--kimg", type=float, default=200.0, help="of each training (default: %(default)s)")
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    names = named_arms(parser, options.arms, ARMS)
    from studies.debias.report import table

    if options.list:
        print(table(options.rows))
        return
    try:
        check_images("--images", options.images)
        check_argument("--kimg", options.kimg, 0.1, 1_000_000, "longer than any training")
        run(options, names)
    except (ValueError, OSError, StageError) as error:
        parser.error(str(error))
    print(table(options.rows))


def run(options: argparse.Namespace, names: list[str]) -> None:
    """All units that have no row yet."""
    from pipelines.params import load_params
    from studies.debias import tones
    from studies.debias.unit import Given, unit

    values, target, data = options.values, options.target, options.data
    if options.tones is not None:
        data = data or ("tones" if values is None else None)
        values, target = values or tones.VALUES, target or tones.TARGET
    if values is None or target is None:
        raise ValueError("--values and --target: name the shares of both")
    wanted = shares("--values", values)
    if options.tones is None:
        params, source = load_params(options.params), options.source
    else:
        params, source = tones.prepared(options.tones, options.work)
    given = Given(
        data=data_name(data, wanted),
        params=params,
        source=source,
        shares=wanted,
        target=shares("--target", target),
        classifier=options.classifier,
        work=options.work,
        rows=options.rows,
        train_images=options.train_images,
        held_out=options.held_out,
        images=options.images,
        labelled=options.labelled,
        kimg=options.kimg,
    )
    if set(given.target) != set(given.shares):
        raise ValueError("--target and --values name different classes: name the same")
    for seed in (int(part) for part in options.seeds.split(",")):
        for name in names:
            arm = weighted(ARMS[name], options.weight)
            row = unit(given, name, arm, seed)
            numbers = {
                k: round(row["metrics"][k]["value"], 4)
                for k in ("fairness_discrepancy", "target_kid")
            }
            print(f"{row_name(given.data, name, arm, seed)} {numbers}", flush=True)


def shares(option: str, words: str) -> dict[str, float]:
    """{"A": share} of "A:0.9,B:0.1". Raises ValueError unless they add up to 1."""
    try:
        pairs = [part.rpartition(":") for part in words.split(",")]
        found = {name: float(share) for name, _, share in pairs}
    except ValueError:
        raise ValueError(f"{option} {words!r} is not of the form A:0.9,B:0.1") from None
    if abs(sum(found.values()) - 1) > 1e-6 or "" in found or min(found.values()) <= 0:
        raise ValueError(f"{option} {words!r}: give a share above 0 of each, adding up to 1")
    return found


def data_name(chosen: str | None, values: Mapping[str, float]) -> str:
    """The name of the data in those of the rows: as chosen, or as in "sneaker90_ankle_boot10"."""
    if chosen is None:
        parts = [(re.sub(r"\W+", "_", name.lower()), share) for name, share in values.items()]
        return "_".join(f"{name}{100 * share:g}" for name, share in parts)
    if not re.fullmatch(r"[\w.]+", chosen):
        raise ValueError(f"--data {chosen!r}: give letters, digits, _ and . alone")
    return chosen


if __name__ == "__main__":
    main()
