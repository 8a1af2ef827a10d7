"""What an image of training costs in each arm, in control steps: those that train the teacher on.

  python -m studies.distil.cost --teacher studies/assets/fashion_mnist_600kimg.safetensors

Times a few steps of every arm in turn, in seconds of this process, with an untrained teacher of the
same shape, and prints the median ratio over rounds to the control `plain`, for one image, plays of
a game included. The pairs of `regression`, which the teacher draws once, are not counted.
"""

import argparse
import statistics
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
    print("| arm | control steps an image | lowest to highest |\n| --- | --- | --- |")
    for name, ratios in found.items():
        middle = statistics.median(ratios)
        print(f"| {name} | {middle:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")


def measured(options: argparse.Namespace, names: list[str]) -> dict[str, list[float]]:
    """{arm: ratio of an image's seconds to the control's, in each round}."""
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
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-1, options.rounds):  # the first round warms up
        seconds = {}
        for name in names[:: 1 if number % 2 else -1]:
            one = settings[name]
            costs = measure(one, dataset, 1, device, time.process_time).costs
            plays = 0.0 if one.structure.kind == "none" else costs.play / one.structure.every
            seconds[name] = (costs.step + plays) / one.train.batch_size
            print(f"{name}: {1e3 * seconds[name]:.2f} ms an image", flush=True)
        if number >= 0:
            for name in names:
                ratios[name].append(seconds[name] / seconds[PLAIN])
    return ratios


if __name__ == "__main__":
    main()
