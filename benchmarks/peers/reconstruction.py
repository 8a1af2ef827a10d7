"""An average of another length from 16 x 2 snapshots, beside ema-pytorch's PostHocEMA.

Both read the same fp32 snapshots from the disk and give one network. Seconds are measured by turns
in one process, memory in a process of its own, in sizes of the network's fp32 weights.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.child import in_a_child
from benchmarks.peers.networks import MODEL, SHAPE
from benchmarks.peers.optional import PeerMissing, Way, beside, peer
from benchmarks.side_by_side import Row
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.ema_reconstruction import reconstruct, snapshot_name
from models.weights import save_weights

TIMES, TRACKED, LENGTH = 16, (0.05, 0.10), 0.14
STEP = 1000
"""Steps, or images, between two snapshots."""
AIM, MEMORY_AIM, ROUNDS = 0.5, 3.0, 5
CONFIG: ModelConfig = MODEL
PEER = "ema-pytorch"
HERE = "benchmarks.peers.reconstruction"


def rows() -> Iterator[Row]:
    """A row of seconds, and two of memory: ours with the aim, then the peer's."""
    network = Denoiser(SHAPE, 0, CONFIG)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    what = f"{TIMES} x {len(TRACKED)} snapshots of {parameters / 1e6:.2f}M parameters"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_ours(network, folder / "ours")

        def peers_ways() -> dict[str, Way]:
            write_peers(network, folder / "theirs")
            return {"": theirs(str(folder / "theirs"), CONFIG.model_dump_json())}

        def note(_: str) -> str:
            return f"weights differ by {_difference(folder):.0e} of the largest"

        work = ours(str(folder / "ours"))
        yield from beside(what, work, {PEER: peers_ways}, ROUNDS, AIM, note)
        model = 4 * parameters / 1e6
        taken = in_a_child(f"{HERE}:ours", str(folder / "ours"))
        unit, said = "models", "one length; a model is its fp32 weights"
        memory = f"{what}, memory of"
        yield Row(f"{memory} ours", taken.peak_mb / model, aim=MEMORY_AIM, note=said, unit=unit)
        try:
            arguments = str(folder / "theirs"), CONFIG.model_dump_json()
            found = in_a_child(f"{HERE}:theirs", *arguments)
        except PeerMissing:
            return  # the row of seconds has said so
        yield Row(f"{memory} {PEER}", found.peak_mb / model, unit=unit)


def ours(folder: str) -> Callable[[], None]:
    """The work of our reconstruction from the snapshots in a folder."""
    return lambda: reconstruct(Path(folder), (LENGTH,)) and None


def theirs(folder: str, config: str) -> Callable[[], None]:
    """That of the peer."""
    averages = _peers(Denoiser(SHAPE, 0, ModelConfig.model_validate_json(config)), Path(folder))
    return lambda: averages.synthesize_ema_model(sigma_rel=LENGTH) and None


def write_ours(network: Denoiser, folder: Path) -> None:
    """Write random averages of both lengths at all times, as a training does."""
    constants = dict(network.named_buffers())
    for time, (which, length) in itertools.product(range(1, TIMES + 1), enumerate(TRACKED)):
        nimg = time * STEP
        description = {**describe(network), "nimg": nimg, "sigma_rel": length}
        tensors = dict(snapshot(network, time, which)) | constants
        path = folder / snapshot_name(nimg, length)
        save_weights(path, tensors, description | {"constants": sorted(constants)})


def write_peers(network: Denoiser, folder: Path) -> None:
    """Write the same averages as the peer's checkpoints, in fp32."""
    averages = _peers(network, folder)
    with torch.no_grad():
        for time in range(1, TIMES + 1):
            for which, average in enumerate(averages.ema_models):
                average.step.fill_(time * STEP)
                own = dict(average.ema_model.named_parameters())
                for name, tensor in snapshot(network, time, which):
                    own[name].copy_(tensor)
            averages.checkpoint()


def snapshot(network: Denoiser, time: int, which: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and random weights of one average."""
    generator = torch.Generator().manual_seed(2 * time + which)
    for name, parameter in network.named_parameters():
        yield name, torch.randn(parameter.shape, generator=generator)


def _peers(network: Denoiser, folder: Path) -> Any:
    return peer("ema_pytorch").PostHocEMA(
        network,
        sigma_rels=TRACKED,
        checkpoint_every_num_steps="manual",
        checkpoint_folder=str(folder),
        checkpoint_dtype=torch.float32,
    )


def _difference(folder: Path) -> float:
    """Largest difference of a weight of both reconstructions, by the largest weight."""
    made = reconstruct(folder / "ours", (LENGTH,))[0][LENGTH]
    averages = _peers(Denoiser(SHAPE, 0, CONFIG), folder / "theirs")
    own = dict(averages.synthesize_ema_model(sigma_rel=LENGTH).ema_model.named_parameters())
    largest = max(float(made[name].abs().max()) for name in own)
    return max(float((made[n] - p).abs().max()) for n, p in own.items()) / largest
