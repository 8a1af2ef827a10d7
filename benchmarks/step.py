"""Measures the cost of the structure game: training steps with and without it, in turn.

Usage: python -m benchmarks.step [--params params.yaml] [--rounds 15] [--kinds graph]
Prints the median time of `structure.every` steps of each kind (one of them with a play) and the
ratio to the control, round by round. The data set is the one of outputs/dataset.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from pipelines.console.progress import progress
from pipelines.params import load_params
from training.run_settings import RunSettings
from training.structure.gate import Gate

if TYPE_CHECKING:
    from foundation.workers import World


class OpenGate(Gate):
    """A gate that is always open, since with a shut one a play costs less."""

    reason = ""


def make_runner(
    settings: RunSettings, dataset: ImageDataset, world: "World"
) -> Callable[[int], None]:
    """A function that does one optimiser step, with the game, if any, from the first step on."""
    from training.averaged_weights import ema_denoiser
    from training.loop import step
    from training.methods.build import build_method
    from training.methods.structure_game import WithStructureGame
    from training.state.train_state import TrainState

    state = TrainState(build_method(settings, dataset, world))
    if isinstance(state.method, WithStructureGame):
        game = state.method.game
        game.gate = OpenGate(settings.structure.gate)
        game.open(0, ema_denoiser(state.deployed, settings.ema.tracked[0]), dataset)

    def one_step(number: int) -> None:
        state.nimg = number * settings.train.batch_size
        step(settings, state, world)

    return one_step


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--params", default="params.yaml")
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument(
        "--kinds",
        default="graph,per_sample,affinity",
        help="beside the control (default: %(default)s)",
    )
    arguments.add_argument(
        "--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER"
    )
    args = arguments.parse_args()
    import torch  # which --help does without

    from foundation.workers import World

    params = load_params(args.params)
    folder = args.dataset
    if not (folder / "dataset.json").exists():
        folder = Path(tempfile.mkdtemp()) / "dataset"
        prepare_dataset(params.dataset, folder)
    dataset, world, base = ImageDataset(folder), World.current(), params.run_settings()
    every = base.structure.every
    kinds = ("none", *args.kinds.split(","))
    runners = {}
    for kind in kinds:
        fakes = "onestep" if kind == "affinity" else base.structure.fakes
        structure = base.structure.model_copy(update={"kind": kind, "fakes": fakes})
        rank = 0 if kind == "none" else base.model.adapter_rank
        model = base.model.model_copy(update={"adapter_rank": rank})
        runners[kind] = make_runner(
            base.model_copy(update={"structure": structure, "model": model}), dataset, world
        )
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    with progress("benchmark", args.rounds + 2) as bar:
        for turn in range(args.rounds + 2):
            for kind, run in runners.items():
                start = time.perf_counter()
                for number in range(turn * every, (turn + 1) * every):
                    run(number)
                if world.device.type == "cuda":
                    torch.cuda.synchronize()
                if turn >= 2:  # two rounds of warm-up
                    times[kind].append((time.perf_counter() - start) / every)
            bar(turn + 1)
    table = Table(
        "kind",
        "ms a step (median)",
        "ratio to control (median, min..max)",
        title=f"{args.rounds} rounds of {every} steps, one play each; batch "
        f"{base.train.batch_size}, {torch.get_num_threads()} threads, {world.device}",
    )
    for kind in kinds:
        ratios = [a / b for a, b in zip(times[kind], times["none"], strict=True)]
        table.add_row(
            kind,
            f"{1000 * statistics.median(times[kind]):.0f}",
            f"{statistics.median(ratios):.2f}, {min(ratios):.2f}..{max(ratios):.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
