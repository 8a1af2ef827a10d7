"""How much disk a training will write, told before it starts; one that cannot fit is refused."""

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.workspace.leftovers import in_words, size_of
from training.run_settings import RunSettings

if TYPE_CHECKING:
    from training.state.train_state import TrainState

KEPT_CHECKPOINTS = 3
"""The last two, and the one that is being written."""

MOMENTS = 2


class NoRoom(RuntimeError):
    """The disk is too full for a training."""


def sizes(state: "TrainState") -> tuple[int, int, int]:
    """Bytes of a checkpoint, of one set of weights, and of one image.

    An optimiser that has made no step is counted with Adam's two moments, as most have.
    """
    tensors, _ = state.saved()
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    for player in state.method.players.values():
        if not player.optimizer.state:
            groups = player.optimizer.param_groups
            own = [p for group in groups for p in group["params"]]
            total += MOMENTS * sum(p.numel() * p.element_size() for p in own)
    network: Any = state.deployed.network
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return total, weights, 4 * math.prod(network.image_shape)


def run_bytes(settings: RunSettings, checkpoint: int, weights: int) -> int:
    """Bytes of a run's folder at its largest; a student's pairs lie elsewhere."""
    snapshots = len(settings.snapshot_nimgs) * len(settings.ema.tracked)
    return KEPT_CHECKPOINTS * checkpoint + snapshots * weights


def room_line(settings: RunSettings, state: "TrainState", folder: Path) -> str:
    """A line such as "this run writes about 1.4 GB; 80 GB are free".

    folder: of the run, in which a part may lie already. The snapshots of a denoiser are copied when
    it is published. Raises NoRoom if they cannot fit.
    """
    checkpoint, weights, _ = sizes(state)
    copies = 0 if settings.student else run_bytes(settings, 0, weights)
    to_come = max(0, run_bytes(settings, checkpoint, weights) - size_of([folder])) + copies
    free = free_bytes(folder)
    if to_come > free:
        raise NoRoom(
            f"this run still writes about {in_words(to_come)}, and {in_words(free)} are free where "
            f"{folder} lies: make room (python -m pipelines.clean --dry-run lists what may go), or "
            "lower ema.snapshots; nothing was started"
        )
    return f"this run writes about {in_words(to_come)}; {in_words(free)} are free"


def free_bytes(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which may still be to come."""
    there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    return shutil.disk_usage(there).free
