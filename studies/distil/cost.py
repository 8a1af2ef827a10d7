"""What an image of training costs in each arm, in control steps: those that train the teacher on.

  python -m studies.distil.cost --teacher studies/assets/fashion_mnist_600kimg.safetensors

Times a few steps of every arm in turn, in seconds of this process, with an untrained teacher of the
same shape. An arm's cost is that of its quickest round, since whatever else a machine does can only
add to it; beside it stands that of the round after. Plays of a game are included, the pairs of
`regression`, which the teacher draws once, are not.
"""

import argparse
import time
from dataclasses import replace

from studies.distil.arms import ARMS, CONTROL
from studies.distil.inputs import add_inputs, given_of
from studies.named_arms import named_arms

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
    print("| arm | control steps an image | second quickest round |\n| --- | --- | --- |")
    control = sorted(found[PLAIN])
    for name, seconds in found.items():
        ratios = [a / b for a, b in zip(sorted(seconds), control, strict=True)][:2]
        print(f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")


def measured(options: argparse.Namespace, names: list[str]) -> dict[str, list[float]]:
    """{arm: seconds of an image in each round}."""
    import torch

    from dataset.store import ImageDataset
    from pipelines.forecast.measure import measure
    from studies.distil.unit import unit_settings

    given = given_of(options)
    dataset, device = ImageDataset(given.dataset), torch.device("cpu")
    settings = {}
    for name in names:
        arm = ARMS[name]
        if arm.kind == CONTROL:  # no weights are needed to time a step
            arm = replace(arm, changes=arm.changes | {"init_from": None})
        settings[name] = unit_settings(given, arm, 0)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-1, options.rounds):  # the first round warms up
        for name in names[:: 1 if number % 2 else -1]:
            one = settings[name]
            costs = measure(one, dataset, 1, device, time.process_time).costs
            plays = 0.0 if one.structure.kind == "none" else costs.play / one.structure.every
            each = (costs.step + plays) / one.train.batch_size
            print(f"{name}: {1e3 * each:.2f} ms an image", flush=True)
            if number >= 0:
                seconds[name].append(each)
    return seconds


if __name__ == "__main__":
    main()
