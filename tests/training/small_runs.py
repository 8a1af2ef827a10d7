"""Training runs of seconds, and what of them is compared."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from foundation.workers import World
from models.config import EMAConfig, ModelConfig
from training.config import NoiseConfig, TrainConfig
from training.events import (
    CheckpointSaved,
    Event,
)
from training.loop import train
from training.run_settings import RunSettings
from training.state.checkpoint import load_latest
from training.structure.config import GateConfig, StructureConfig

SMALL = ModelConfig(
    channels=8, channel_mult=(1, 2), blocks=1, attention_resolutions=(), structural_blocks=()
)


def settings(total_kimg=0.128, game="none", **changes):
    train_changes = changes.pop("train", {})
    return RunSettings(
        seed=changes.pop("seed", 0),
        model=changes.pop("model", SMALL),
        noise=NoiseConfig(),
        train=TrainConfig(
            total_kimg=total_kimg,
            batch_size=16,
            lr=1e-3,
            lr_ramp_kimg=0.03,
            log_every_kimg=0.016,
            held_out_every_kimg=0.064,
            held_out_images=16,
            **train_changes,
        ),
        structure=StructureConfig(
            kind=game,
            start_kimg=0.03,
            every=2,
            width=8,
            k=3,
            statistics_images=32,
            lr=0.01,
            gate=GateConfig(
                chance_margin=0.0, min_plays=1, win_gap=1e6, smoothing=0.0, max_worsening=100.0
            ),
        ),
        ema=EMAConfig(snapshots=4),
        **changes,
    )


def final(folder):
    return load_latest(folder / "checkpoints", print)


def assert_same(a, b, **tolerance):
    (tensors_a, plain_a), (tensors_b, plain_b) = a, b
    assert tensors_a.keys() == tensors_b.keys() and plain_a["nimg"] == plain_b["nimg"]
    for name, tensor in tensors_a.items():
        torch.testing.assert_close(
            tensor, tensors_b[name], msg=lambda m, n=name: f"{n}: {m}", **tolerance
        )


WEIGHTS = ("players.denoiser.network.", "players.denoiser.average.")
OUTPUT = "players.denoiser.network.unet.output.weight"


class Interrupted(Exception):
    pass


def train_whole_and_interrupted(config, data, folder) -> list[Event]:
    """A run in `whole`, and one in `cut` that stops at image 80 and goes on; its later events."""
    train(config, data, folder / "whole", World())

    def stop_at(event):
        if isinstance(event, CheckpointSaved) and event.nimg == 80:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(config, data, folder / "cut", World(), stop_at)
    events = []
    train(config, data, folder / "cut", World(), events.append)
    return events


def train_on_two_workers(config, dataset_folder, out, port) -> None:
    """The run in `out` by two processes; both must end well."""
    worker = Path(__file__).parent / "loop_worker.py"
    words = [str(port), str(dataset_folder), str(out)]
    ranks = [
        subprocess.Popen(
            [sys.executable, worker, str(rank), "2", *words], stdin=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    for process in ranks:
        process.stdin.write(config.model_dump_json())
        process.stdin.close()
    assert [process.wait(timeout=120) for process in ranks] == [0, 0]
