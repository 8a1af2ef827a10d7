"""Snapshots of the tracked averages, and the averages of any length made from them."""

from pathlib import Path

from models.denoiser import describe
from models.ema_reconstruction import snapshot_name
from models.weights import save_weights
from training.state.train_state import TrainState


def save_snapshot(folder: Path, state: TrainState) -> Path:
    """One file per tracked length: fp32 averages and the network's constants; returns the last."""
    buffers = dict(state.denoiser.named_buffers())
    for sigma_rel in state.ema.averages:
        path = Path(folder) / snapshot_name(state.nimg, sigma_rel)
        description = describe(state.denoiser) | {
            "nimg": state.nimg, "sigma_rel": sigma_rel, "constants": sorted(buffers),
        }  # fmt: skip
        save_weights(path, state.ema.state(sigma_rel) | buffers, description)
    return path
