"""The command line that the studies of discriminators have in common, and its checks."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipelines.console.command import check_argument, check_images
from pipelines.params import load_params


def make_parser(
    name: str, description: str | None, kinds: str, steps: int, images: int
) -> argparse.ArgumentParser:
    """A parser of `python -m studies.NAME`; kinds, steps, images: the defaults."""
    parser = argparse.ArgumentParser(
        prog=f"python -m studies.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", type=Path, help="weights file (.safetensors)")
    add("--params", default="params.yaml", help="default: %(default)s")
    add("--sampler", required=True, help="a name under `sampling`")
    add("--kinds", default=kinds, help="default: %(default)s")
    add("--seeds", default="0,1,2", help="default: %(default)s")
    add("--steps", type=int, default=steps, help="of the discriminator (default: %(default)s)")
    add("--images", type=int, default=images, help="of each test set (default: %(default)s)")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--out", type=Path, default=Path("reports/studies") / name, metavar="FOLDER")
    return parser


def parse(
    parser: argparse.ArgumentParser, arguments: list[str] | None, known: Sequence[str], least: int
) -> argparse.Namespace:
    """The options, with lists for kinds and seeds; a mistake ends the program with one line.

    known: kinds that may be asked for. least: number of steps.
    """
    options = parser.parse_args(arguments)
    options.kinds = options.kinds.split(",")
    unknown = sorted(set(options.kinds) - set(known))
    if unknown:
        parser.error(f"--kinds {', '.join(unknown)}: give some of {', '.join(known)}")
    try:
        check_images("--images", options.images)
        check_argument("--steps", options.steps, least, 10_000_000, "it has learned long before")
        options.seeds = [int(part) for part in options.seeds.split(",")]
        names = load_params(options.params).sampling
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if options.sampler not in names:
        parser.error(f"--sampler {options.sampler}: params name {', '.join(names)}")
    return options
