"""What an image of training costs in each arm, in control steps: those that train the teacher on.

  python -m studies.distil.cost --teacher studies/assets/fashion_mnist_600kimg.safetensors

Times every kind of step of every arm in turn (those with the critic alone, those with both, each
number of evaluations that a student's step may make), at the arm's own batch size, in seconds of
this process; each kind counts as often as it occurs in training. The first column is of the least
of each kind over all rounds, since whatever else a machine does can only add to it, the second of
the medians. Plays of a game are included, the pairs of `regression`, which the teacher draws once,
are not.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from studies.distil.arms import ARMS, CONTROL
from studies.distil.inputs import add_inputs, given_of
from studies.named_arms import named_arms

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from training.run_settings import RunSettings

PLAIN = "plain"
ROUNDS = 5


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.distil.cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_inputs(parser)
    parser.add_argument("--arms", default=",".join(ARMS), help="default: all")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="of each arm (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    names = [PLAIN, *(n for n in named_arms(parser, options.arms, ARMS) if n != PLAIN)]
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    try:
        found = measured(options, names)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print("| arm | control steps an image: least | median |\n| --- | --- | --- |")
    for name in names:
        ratios = [
            cost_of(found[name], choose) / cost_of(found[PLAIN], choose) for choose in (min, median)
        ]
        print(f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")


@dataclass
class Part:
    """Something that an arm does while training."""

    call: Callable[[], object]
    times: float
    """How often it is done for each image of training."""
    seconds: list[float] = field(default_factory=list)
    """One of each round."""


def cost_of(parts: list[Part], choose: Callable[[list[float]], float]) -> float:
    """Seconds for each image of training, from one of the seconds of each part."""
    return sum(part.times * choose(part.seconds) for part in parts)


def measured(options: argparse.Namespace, names: list[str]) -> dict[str, list[Part]]:
    """{arm: its parts with their seconds}, on one thread."""
    import torch

    from dataset.store import ImageDataset
    from studies.distil.unit import unit_settings

    torch.set_num_threads(1)
    given = given_of(options)
    dataset = ImageDataset(given.dataset)
    parts = {}
    for name in names:
        arm = ARMS[name]
        if arm.kind == CONTROL:  # no weights are needed to time a step
            arm = replace(arm, changes=arm.changes | {"init_from": None})
        parts[name] = parts_of(unit_settings(given, arm, 0), dataset)
    for number in range(options.rounds):
        for name in names[:: -1 if number % 2 else 1]:
            for part in parts[name]:
                begin = time.process_time()
                part.call()
                part.seconds.append(time.process_time() - begin)
        print(f"round {number + 1} of {options.rounds}", flush=True)
    return parts


def parts_of(settings: "RunSettings", dataset: "ImageDataset") -> list[Part]:
    """Every kind of step of a training, and the plays of its game; each was done once before."""
    import torch

    from pipelines.forecast.measure import Trial

    batch, game = settings.train.batch_size, settings.structure
    trial = Trial(settings, dataset, torch.device("cpu"))
    parts = [
        Part(partial(trial.step, batch, number), share / batch)
        for number, share in trial.kinds(batch)
    ]
    if game.kind != "none":  # a step with a play, less one without
        playing = Trial(settings, dataset, torch.device("cpu"))
        playing.open(game.batch_size or batch)
        plays = 1 / (game.every * batch)
        parts += [Part(lambda: playing.step(2, 0), plays), Part(lambda: trial.step(2, 0), -plays)]
    for part in parts:
        part.call()
    return parts


if __name__ == "__main__":
    main()
