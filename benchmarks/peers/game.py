"""What the structure game adds to a training step, with the settings of params.yaml.

The game is on from the first step and its gate open: a step never costs more. Before
structure.start_kimg it adds nothing, which the note takes into account.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.side_by_side import Row, compared, side_by_side
from benchmarks.step import make_runner
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from foundation.workers import World
from pipelines.params import load_params

AIM, ROUNDS = 1.15, 9
PARAMS = "params.yaml"


def rows() -> Iterator[Row]:
    """One row: as many steps as one play comes with, with the game and without it."""
    params = load_params(PARAMS)
    base, world = params.run_settings(), World.current()
    with TemporaryDirectory() as name:
        prepare_dataset(params.dataset, Path(name) / "dataset")
        dataset = ImageDataset(Path(name) / "dataset")
        control = base.model_copy(
            update={
                "structure": base.structure.model_copy(update={"kind": "none"}),
                "model": base.model.model_copy(update={"adapter_rank": 0}),
            }
        )
        ways = {
            "game": steps(make_runner(base, dataset, world), base.structure.every),
            "control": steps(make_runner(control, dataset, world), base.structure.every),
        }
        taken = side_by_side(ways, ROUNDS)
    game, share = base.structure, 1 - base.structure.start_kimg / base.train.total_kimg
    what = f"{game.every} steps with one play, kind {game.kind}"
    row = compared(what, taken["game"], "control", taken["control"], AIM)
    whole = 1 + share * ((row.ratio or 1.0) - 1)
    note = f"{whole:.2f} over a whole training, which plays in its last {share:.0%}"
    yield replace(row, note=note)


def steps(run: Callable[[int], None], every: int) -> Callable[[], None]:
    """A call that does the next `every` steps, one of them with a play."""
    number = 0

    def go_on() -> None:
        nonlocal number
        for step in range(number, number + every):
            run(step)
        number += every

    return go_on
