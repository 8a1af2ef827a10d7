"""A disk that is full while a training writes: one clear error, nothing half-written, no loss."""

import errno
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foundation.workers import World
from training.events import CheckpointSaved, Message, Started
from training.loop import train
from training.state.checkpoint import checkpoints, load_checkpoint

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))
disks = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "small_disk.py")))

CONFIG = runs.settings(game="graph", checkpoint_every_s=0)


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(CONFIG, digits, folder, World())
    return folder


@pytest.mark.parametrize(
    ("after", "left", "named"),
    [
        (48, 0, "snapshots/000000000064-0.05.safetensors"),
        (64, 100_000, "checkpoints/checkpoint-000000000080.safetensors"),
        (80, 1_100_000, "checkpoints/checkpoint-000000000096.safetensors"),
    ],
)
def test_the_same_start_goes_on_to_the_same_bytes(digits, whole, tmp_path, after, left, named):
    """The disk is full but for `left` bytes once the checkpoint at `after` images is saved."""
    with disks.small_disk(tmp_path / "disk", 12) as disk:
        folder = disk / "run"

        def report(event):
            if isinstance(event, CheckpointSaved) and event.nimg == after:
                disks.fill(disk, left)

        with pytest.raises(OSError, match="No space left") as error:
            train(CONFIG, digits, folder, World(), report)
        assert named in str(error.value)
        newest = checkpoints(folder / "checkpoints")[-1]
        load_checkpoint(newest)  # whole
        assert not [path for path in folder.rglob("*") if ".tmp" in path.name]
        before = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}

        with pytest.raises(OSError, match="No space left") as error:  # it is still full
            train(CONFIG, digits, folder, World())
        assert before == {path: path.read_bytes() for path in folder.rglob("*.safetensors")}

        (disk / "filler").unlink()
        events = []
        train(CONFIG, digits, folder, World(), events.append)
        begun = int(newest.stem.split("-")[1])
        assert Started(begun, 128, resumed=True) in events
        assert not [event for event in events if isinstance(event, Message)]
        runs.assert_same(runs.final(folder), runs.final(whole), rtol=0, atol=0)
        for name in ("train.json", "curves.csv"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes()
        for path in (whole / "snapshots").iterdir():
            assert (folder / "snapshots" / path.name).read_bytes() == path.read_bytes()


def test_a_request_to_leave_that_cannot_save_says_so(digits, tmp_path, monkeypatch):
    from training.state.leaving import ask_to_leave

    monkeypatch.setattr("training.state.leaving.LOOK_S", 0.0)
    config = runs.settings(checkpoint_every_s=3600)
    with disks.small_disk(tmp_path / "disk", 1) as disk:
        (disk / "run").mkdir()
        ask_to_leave(disk / "run")
        disks.fill(disk, 100_000)
        with pytest.raises(OSError, match="No space left") as error:
            train(config, digits, disk / "run", World())
        assert error.value.errno in (None, errno.ENOSPC)
