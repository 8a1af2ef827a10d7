"""The training loop.

Progress is counted in images (`nimg`). All that is drawn for image slot j of the global batch
(image, flip, label dropout, sigma, noise) depends on (seed, nimg + j) alone, and sigma on the state
of the noise schedule at the step's begin, so the result does not depend on how the batch is split
over workers and micro-batches. The method decides what is trained,
and by which gradients (training/method.py).
"""

import json
import math
import time
from pathlib import Path
from typing import Any

from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from foundation.unfinished_files import sweep
from foundation.workers import World
from training.events import (
    Ended,
    HeldOutMeasured,
    Logged,
    Message,
    Report,
    SnapshotSaved,
    Started,
    crossed,
    each_second,
    silent,
)
from training.methods.build import build_method
from training.preview import preview
from training.run_settings import RunSettings
from training.state.curves import Curves
from training.state.resume import agree_on_start, load_resumable
from training.state.saver import Saver
from training.state.snapshots import save_snapshots
from training.state.train_state import TrainState
from training.state.writer_lock import only_writer


class TrainingDiverged(RuntimeError):
    """Too many steps in a row had a non-finite gradient."""


def train(
    settings: RunSettings,
    dataset: ImageDataset,
    folder: Path,
    world: World,
    report: Report = silent,
) -> dict[str, Any]:
    """Begin or resume the training run in `folder`; returns its summary.

    Call it on every rank of `world`. The same call after a crash resumes from the newest readable
    checkpoint. Rank 0 writes snapshots, checkpoints, curves.jsonl and, last, train.json; `report`
    receives rank 0's events (training/events.py). It holds the folder's lock meanwhile.
    Raises TrainingStopped on rank 0 if it was asked to leave (training/state/leaving.py),
    TrainingDiverged, ValueError for a batch that workers cannot share, CheckpointError for
    a checkpoint of another version or a lost snapshot, LockHeld if another process trains the run.
    """
    if world.rank != 0:
        return _train(settings, dataset, Path(folder), world, silent)
    with only_writer(Path(folder), lambda text: report(Message(0, text))):
        sweep(folder)  # of writers that were killed
        return _train(settings, dataset, Path(folder), world, report)


def _train(
    settings: RunSettings, dataset: ImageDataset, folder: Path, world: World, tell: Report
) -> dict[str, Any]:
    chief = world.rank == 0

    def warn(text: str) -> None:
        tell(Message(0, text))

    state = TrainState(build_method(settings, dataset, world, tell))
    resumed = load_resumable(settings, folder, world, warn)
    if resumed is not None:
        state.restore(*resumed)
    agree_on_start(state.nimg, folder, world)
    known = resumed[1].get("curves") if resumed else None
    curves = Curves(folder / "curves.jsonl", state.nimg, writing=chief, digest=known, warn=warn)
    tell(Started(state.nimg, settings.total_nimg, resumed is not None))
    saver = Saver(folder, settings.checkpoint_every_s, curves, tell)
    clock, clock_nimg = time.monotonic(), state.nimg
    stepped = each_second(tell)

    while state.nimg < settings.total_nimg:
        before = state.nimg
        rates = step(settings, state, world)
        after = state.nimg
        done = after == settings.total_nimg
        stepped(after)

        # Held-out loss and curves.
        if crossed(before, after, settings.train.held_out_every_kimg) or done:
            values = state.method.measure(after).values
            state.last_metrics |= values
            curves.append(after, values)
            tell(HeldOutMeasured(after, values))
        if crossed(before, after, settings.train.log_every_kimg) or done:
            values = state.close_window() | rates | {"skipped_steps": state.skipped_steps}
            state.last_metrics |= values
            curves.append(after, values)
            speed = (after - clock_nimg) / max(time.monotonic() - clock, 1e-9)
            clock, clock_nimg = time.monotonic(), after
            tell(Logged(after, values, speed))

        # Snapshots, pictures, checkpoint: rank 0 alone writes them.
        if not chief:
            continue
        if after in settings.snapshot_nimgs:
            path = save_snapshots(folder / "snapshots", after, state.method)
            tell(SnapshotSaved(after, str(path)))
        every, sampler = settings.sample_every_kimg, state.method.preview()
        if every and sampler and (crossed(before, after, every) or done):
            tell(preview(settings, state.deployed, sampler, after, world.device))
        saver.after_step(state, done)

    summary = state.summary(settings)
    if chief:
        curves.write_csv(folder / "curves.csv")
        write_text(folder / "train.json", json.dumps(summary, indent=1) + "\n")
        tell(Ended(state.nimg))
    world.barrier()
    return summary


def step(settings: RunSettings, state: TrainState, world: World) -> dict[str, float]:
    """One step of every player whose turn it is, over the global batch that begins at state.nimg.

    Adds the batch to state.nimg, and the metrics to the state's log window. If a gradient or a loss
    is not finite, the player's weights stay as they are. Returns the learning rates by name.
    Raises TrainingDiverged after train.max_bad_steps such steps in a row.
    """
    method, batch_size = state.method, settings.train.batch_size
    slots = range(state.nimg, state.nimg + batch_size)
    all_rates: dict[str, float] = {}
    for turn in method.turns(state.nimg // batch_size):
        player = method.players[turn]
        player.optimizer.zero_grad(set_to_none=True)

        # Gradient and sums of this rank's share, then of the global batch; then the extra gradient.
        sums = method.accumulate(turn, slots)
        world.all_reduce_gradients(player.own_parameters, sums.values())
        means = {name: float(total) / batch_size for name, total in sums.items()}
        extra = method.extra(turn, slots)
        if extra.gradients is not None:
            world.all_reduce_flat_([g for g in extra.gradients if g is not None])
            player.add_gradients(extra.gradients)

        # Optimiser step and forced weight normalisation; averages.
        rates = player.set_rates(slots.stop)
        norm = player.clip_gradients()
        metrics = means | extra.metrics | {"grad_norm": norm}
        prefix = "" if turn == method.deployed else f"{turn}/"
        all_rates |= {f"{prefix}{name}": rate for name, rate in rates.items()}
        if all(map(math.isfinite, [norm, *means.values()])):
            player.step()
            state.bad_in_a_row = 0
            state.observe({f"{prefix}{name}": value for name, value in metrics.items()})
        else:
            state.skipped_steps += 1
            state.bad_in_a_row += 1
            if state.bad_in_a_row >= settings.train.max_bad_steps:
                raise TrainingDiverged(
                    f"{state.bad_in_a_row} steps in a row had a non-finite gradient (at "
                    f"{slots.stop / 1000:g} kimg): lower train.lr, or set train.precision to fp32"
                )
        player.average(slots.stop, batch_size)
    state.nimg = slots.stop
    return all_rates
