"""How good is one evaluation of a student, and what does it cost?

  python -m studies.distil --teacher studies/assets/fashion_mnist_600kimg.safetensors --list
  python -m studies.distil --teacher WEIGHTS --arms matching,consistency --seeds 21,22,23

Trains students of a frozen teacher (studies/distil/arms.py) and judges them with 1, 2 and 4
evaluations beside the teacher's own samplers, which are measured first. Each finished arm and seed
is a row in --rows; a row that stands is not computed again, and a training that was stopped goes on
from its checkpoint. Prints the table.
"""

import argparse
import json
from dataclasses import replace
from typing import Any

from pipelines.console.command import check_argument, check_images
from studies.distil.arms import ARMS
from studies.distil.inputs import add_inputs, given_of
from studies.named_arms import named_arms


def main(arguments: list[str] | None = None) -> None:
    """Measure the teacher, train and judge each unit, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.distil",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_inputs(parser)
    add = parser.add_argument
    add("--arms", default=",".join(ARMS), help="default: all")
    add("--seeds", default="21,22,23", help="default: %(default)s; 20 is for tuning")
    add("--kimg", type=float, help="length of each training (default: the arm's own)")
    add("--lr", type=float, help="learning rate (default: the arm's own)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another setting of the student (value: JSON), for tuning; may be given several times",
    )
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    names = named_arms(parser, options.arms, ARMS)
    from studies.distil.report import table

    if options.list:
        print(table(options.rows))
        return
    try:
        check_images("--images", options.images)
        if options.kimg is not None:
            check_argument("--kimg", options.kimg, 1, 1_000_000, "longer than any teacher's")
        run(options, names, [int(part) for part in options.seeds.split(",")])
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(table(options.rows))


def run(options: argparse.Namespace, names: list[str], seeds: list[int]) -> None:
    """All units that have no row yet."""
    from sampling.config import SamplerConfig
    from sampling.for_students import student_sampler
    from studies.distil.arms import FREE_GRIDS, free_sampler
    from studies.distil.unit import teacher_unit, train_unit

    given = given_of(options)
    changes = changed(options.set)
    variant = ",".join(f"{key}={value}" for key, value in changes.items()).replace("/", "_")
    own = {key: getattr(options, key) for key in ("kimg", "lr") if getattr(options, key)}
    for steps in FREE_GRIDS:
        teacher_unit(given, f"unipc-{steps}", free_sampler(steps))
    teacher_unit(given, "heun-35", SamplerConfig(solver="heun", grid="karras", steps=18))
    teacher_unit(given, "one", student_sampler(None))
    for seed in seeds:
        for name in names:
            arm = replace(ARMS[name], changes=ARMS[name].changes | changes, **own)
            if "stage_kimg" in changes:
                arm = replace(arm, stages=None)
            train_unit(given, name, arm, seed, variant)


def changed(words: list[str]) -> dict[str, Any]:
    """{key: value} of KEY=VALUE words; raises ValueError for one that is none."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        try:
            found[key] = json.loads(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"--set {word}: give KEY=VALUE with a JSON value, as critic_steps=2")
    return found


if __name__ == "__main__":
    main()
