"""What a training will write is what it writes, and one that cannot fit is refused."""

import shutil
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from foundation.workers import World
from pipelines.forecast import disk_use
from pipelines.forecast.disk_use import NoRoom, room_line, run_bytes, sizes
from pipelines.workspace.leftovers import in_words, size_of
from training.loop import train
from training.methods.build import build_method
from training.state.train_state import TrainState

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "training/small_runs.py")))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare_dataset(DatasetConfig(source="digits"), folder)
    return ImageDataset(folder)


@pytest.mark.parametrize("game", ["none", "graph"])
def test_the_prediction_is_what_lies_there_at_the_end(digits, tmp_path, game):
    config = runs.settings(0.064, game=game, checkpoint_every_s=0)
    state = TrainState(build_method(config, digits, World()))
    checkpoint, weights, _ = sizes(state)
    train(config, digits, tmp_path / "run", World())
    kept = size_of((tmp_path / "run" / "checkpoints").iterdir())
    # Headers of the files are all that is not counted; a third checkpoint lies there for a moment.
    assert 2 * checkpoint <= kept < 2 * checkpoint * 1.35
    snapshots = size_of((tmp_path / "run" / "snapshots").glob("*.safetensors"))
    assert run_bytes(config, 0, weights) <= snapshots < run_bytes(config, 0, weights) * 1.6
    assert run_bytes(config, checkpoint, weights) == 3 * checkpoint + run_bytes(config, 0, weights)


def test_one_that_cannot_fit_is_refused_and_one_that_has_begun_needs_less(
    digits, tmp_path, monkeypatch
):
    config = runs.settings(0.064)
    state = TrainState(build_method(config, digits, World()))
    checkpoint, weights, _ = sizes(state)
    needed = run_bytes(config, checkpoint, weights) + run_bytes(config, 0, weights)
    folder = tmp_path / "runs" / "train-1"  # none of it is there yet

    def free(count):
        monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=count))

    free(needed)
    assert room_line(config, state, folder).endswith(f"{in_words(needed)} are free")
    free(needed - 1)
    with pytest.raises(NoRoom, match=r"this run still writes about .* are free where .*clean --"):
        room_line(config, state, folder)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "checkpoint-1").write_bytes(b"x" * checkpoint)
    free(needed - checkpoint)
    assert room_line(config, state, folder)


def test_the_disk_is_that_of_a_folder_to_come(tmp_path):
    assert disk_use.free_bytes(tmp_path / "a" / "b") == shutil.disk_usage(tmp_path).free
