"""Where a training goes on: at a checkpoint before which every snapshot is whole."""

from collections.abc import Callable
from pathlib import Path

import torch

from foundation.workers import World
from training.run_settings import RunSettings
from training.state.checkpoint import (
    CheckpointError,
    Loaded,
    checkpoint_nimg,
    checkpoints,
    load_latest,
)
from training.state.snapshots import first_lost


class SnapshotLost(CheckpointError):
    """A snapshot is missing or damaged, and training cannot go back to before it."""


def load_resumable(
    settings: RunSettings, folder: Path, world: World, warn: Callable[[str], None]
) -> Loaded | None:
    """The newest readable checkpoint of the run in `folder` that misses no snapshot; None: begin.

    Every rank calls it. If a snapshot that the newest checkpoint counts as made is missing or
    damaged, a checkpoint of before it is taken, so that the snapshot is made again. Raises
    SnapshotLost if there is none, and what `load_latest` raises.
    """
    found, bound = checkpoints(folder / "checkpoints"), -1
    lost = "a snapshot is missing or damaged"  # rank 0 says which
    if world.rank == 0 and found:
        made = [n for n in settings.snapshot_nimgs if n <= checkpoint_nimg(found[-1])]
        first = first_lost(folder / "snapshots", made, settings.ema.tracked)
        bound, lost = first or (bound, lost)
    shared = torch.tensor([bound], device=world.device)
    bound = int(world.broadcast_(shared))
    if bound < 0:
        return load_latest(folder / "checkpoints", warn)
    before = [path for path in found if checkpoint_nimg(path) < bound]
    if before:
        warn(f"{lost}; training goes back to before it")
    loaded = load_latest(folder / "checkpoints", warn, before=bound)
    if loaded is None:
        raise SnapshotLost(
            f"{lost}; no checkpoint is from before {bound / 1000:g} kimg: copy it back if you have "
            "it, or train anew with --fresh (TRAIN_FRESH=1 dvc repro -f train)"
        )
    return loaded


def agree_on_start(nimg: int, folder: Path, world: World) -> None:
    """Return when every rank has read its checkpoint, each by itself, and stands at `nimg` images.

    Raises RuntimeError if they stand at different images. Nobody writes a new checkpoint while
    another rank still looks for the old one.
    """
    begun = world.all_gather(torch.tensor([[nimg]], device=world.device))
    if (begun != begun[0]).any():
        raise RuntimeError(
            f"workers would resume at different images ({begun.flatten().tolist()}): the "
            f"checkpoint that one of them sees in {folder} is damaged or not there; all must "
            "share that folder"
        )
    world.barrier()
