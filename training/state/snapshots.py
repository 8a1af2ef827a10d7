"""Snapshots: each player's averages at some times of the training, for post-hoc EMA."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.denoiser import describe
from models.ema_reconstruction import snapshot_name
from models.weights import WeightsError, check_weights, save_weights
from training.method import Method
from training.players import Player


def save_snapshots(folder: Path, nimg: int, method: Method) -> Path:
    """Save the averages of the deployed player in `folder`, of others in a sub-folder by name.

    Returns the last file of the deployed player.
    """
    for name, player in method.players.items():
        if name != method.deployed and player.averages is not None:
            save_snapshot(Path(folder) / name, nimg, player)
    return save_snapshot(folder, nimg, method.players[method.deployed])


def save_snapshot(folder: Path, nimg: int, player: Player) -> Path:
    """Save a file of fp32 averages and constants for each tracked length; returns the last.

    Constants are the network's buffers and, where a part alone is trained, all other tensors: so
    that each file is a whole network, whose description names the adapter under "merge".
    """
    assert player.averages is not None, "this player keeps no averages"
    network: Any = player.network
    own = getattr(network, "describe", None)  # a network that is not a denoiser describes itself
    saved = network.state_dict().keys()  # a table of captions is a buffer that is not saved
    constants = {n: b for n, b in network.named_buffers() if n in saved} | player.lent()
    merge = {} if player.adapter is None else {"merge": player.adapter}
    path = Path(folder)
    for sigma_rel in player.averages.averages:
        path = Path(folder) / snapshot_name(nimg, sigma_rel)
        description = (
            (own() if own else describe(network))
            | merge
            | {
                "nimg": nimg,
                "sigma_rel": sigma_rel,
                "constants": sorted(constants),
            }
        )
        save_weights(path, player.averages.state(sigma_rel) | constants, description)
    return path


def first_lost(
    folder: Path, nimgs: Iterable[int], lengths: Iterable[float]
) -> tuple[int, str] | None:
    """The first of these times of which a snapshot is missing or damaged, and a line about it.

    None if the deployed player's snapshots of all times and lengths are whole.
    """
    lengths = tuple(lengths)
    for nimg in sorted(set(nimgs)):
        for sigma_rel in lengths:
            path = Path(folder) / snapshot_name(nimg, sigma_rel)
            missing = [p for p in (path, path.with_suffix(".json")) if not p.is_file()]
            if missing:
                return nimg, f"the snapshot {missing[0]} is missing"
            try:
                check_weights(path)
            except WeightsError:
                return nimg, f"the snapshot {path} is damaged, or its .json is"
    return None
