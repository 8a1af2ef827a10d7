"""A training never goes on past a snapshot that is not whole."""

import os
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foundation.workers import World
from models.ema_reconstruction import snapshot_name
from models.weights import load_tensors
from training.events import Message, SnapshotSaved, Started
from training.loop import train
from training.state.checkpoint import checkpoint_path
from training.state.resume import SnapshotLost

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    path.write_bytes(content)


def test_the_last_snapshot_is_made_again_bit_for_bit(digits, tmp_path):
    """The checkpoint before the last one lies before it."""
    config = runs.settings(checkpoint_every_s=0)
    train(config, digits, tmp_path / "run", World())
    path = tmp_path / "run" / "snapshots" / snapshot_name(128, 0.1)
    whole = path.read_bytes()
    for spoil in (flip, Path.unlink, lambda p: p.with_suffix(".json").unlink()):
        spoil(path)
        events = []
        train(config, digits, tmp_path / "run", World(), events.append)
        assert isinstance(events[0], Message) and path.stem in events[0].text
        assert events[0].text.endswith("training goes back to before it")
        assert events[1] == Started(112, total_nimg=128, resumed=True)
        assert path.read_bytes() == whole and load_tensors(path)[1]["nimg"] == 128


def test_an_early_snapshot_that_is_lost_is_one_line_and_loses_nothing_else(digits, tmp_path):
    config = runs.settings(checkpoint_every_s=0)
    folder = tmp_path / "run"
    train(config, digits, folder, World())
    (folder / "snapshots" / snapshot_name(64, 0.05)).unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    named = r"000064-0\.05\.safetensors is missing; no checkpoint .* \(TRAIN_FRESH=1 dvc repro -f"
    with pytest.raises(SnapshotLost, match=named):
        train(config, digits, folder, World())
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_a_checkpoint_claims_only_snapshots_that_are_on_the_disk(digits, tmp_path, monkeypatch):
    """After a power cut what was not flushed is gone."""
    flushed, replace, fsync = [], os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(fd_path(fd)) or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: flushed.append(f"-> {b}") or replace(a, b))

    def fd_path(fd):
        return os.readlink(f"/proc/self/fd/{fd}")

    folder = tmp_path / "run"
    config = runs.settings(0.032, checkpoint_every_s=0)

    def report(event):
        if isinstance(event, SnapshotSaved):
            assert f"-> {checkpoint_path(folder / 'checkpoints', event.nimg)}" not in flushed

    train(config, digits, folder, World(), report)
    claim = flushed.index(f"-> {checkpoint_path(folder / 'checkpoints', 32)}")
    for path in (folder / "snapshots").iterdir():
        named = flushed.index(f"-> {path}")
        assert f".{path.name}." in flushed[named - 1]  # its content is flushed before it is named
        assert str(folder / "snapshots") in flushed[named:claim]  # and its name before the claim
    curves = [at for at, name in enumerate(flushed) if name == str(folder / "curves.jsonl")]
    assert any(at < claim for at in curves)
    assert str(tmp_path) in flushed[:claim] and str(folder) in flushed[:claim]
