"""The options of the study's commands that say what all its units share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # --help does without torch
    from studies.distil.unit import Given


def add_teacher(parser: argparse.ArgumentParser) -> None:
    """--teacher, and the folders of runs and of rows."""
    add = parser.add_argument
    add("--teacher", type=Path, required=True, help="weights (.safetensors) of the teacher")
    add("--work", type=Path, default=Path(".runs/studies/distil"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/distil"), metavar="FOLDER")


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """All that `given_of` reads."""
    add_teacher(parser)
    add = parser.add_argument
    add("--params", default="presets/fashion_mnist.yaml", help="default: %(default)s")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--images", type=int, default=2048, help="judged of each unit (default: %(default)s)")


def given_of(options: argparse.Namespace) -> "Given":
    """What the options of `add_inputs` name. Raises ValueError for params that cannot be read."""
    from pipelines.params import load_params
    from studies.distil.unit import Given

    return Given(
        load_params(options.params),
        options.teacher,
        options.dataset,
        options.reference,
        options.work,
        options.rows,
        options.images,
    )
