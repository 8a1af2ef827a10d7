"""A run needs the disk and the time that it still takes, not what it has written already."""

from pathlib import Path

import pytest

from pipelines.checkup import run_so_far
from pipelines.checkup.disk import disk_needed, disk_problem
from pipelines.checkup.machine import speed_lines
from pipelines.forecast.duration import Costs, TrainingWork, about
from pipelines.forecast.measure import Measured
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml
from pipelines.workspace.fingerprint import stage_identity

ROOT = Path(__file__).parents[3]
KB = 1000
FOUND = Measured(Costs(1, 1, 1, 1), checkpoint_bytes=5 * KB, parameter_bytes=KB)
ANYWAY = 2e9


@pytest.fixture
def params(workspace, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return check_params(
        with_values(read_yaml(ROOT / "presets" / "digits.yaml"), {"ema.snapshots": 10})
    )


def written(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def test_the_disk_must_hold_snapshots_twice_and_three_checkpoints(params):
    # 3 checkpoints, 10 snapshots of 2 lengths in 2 places, 5 averages
    assert disk_needed(params, FOUND) == ANYWAY + (3 * 5 + 40 + 5) * KB
    assert disk_problem(62e9, 70e9) is None
    assert "10.0 GB are free, and this run needs about 62.0 GB" in disk_problem(62e9, 10e9)


def test_what_the_run_has_written_is_not_needed_again(params, workspace):
    folder = stage_identity("train", params).folder(workspace)
    written(workspace / ".runs" / "train-other" / "snapshots" / "s", 9 * KB)
    for number in range(2):
        written(folder / "checkpoints" / str(number), 5 * KB)
    written(folder / "snapshots" / "s", 4 * KB)
    # The third checkpoint, the 16 other snapshots, and the copies and averages as before.
    assert disk_needed(params, FOUND) == ANYWAY + (5 + 16 + 20 + 5) * KB
    written(folder / "train.json", 7)
    written(workspace / "outputs" / "train" / "train.json", 8)  # of another run
    written(workspace / "outputs" / "ema" / "0.1.safetensors", KB)
    assert disk_needed(params, FOUND) == ANYWAY + (20 + 5) * KB
    written(workspace / "outputs" / "train" / "train.json", 7)
    assert disk_needed(params, FOUND) == ANYWAY + 4 * KB


def test_a_fault_that_another_line_names_is_none_of_the_disk(params, monkeypatch):
    def broken(params, student):
        raise ValueError("outputs/dataset/dataset.json is damaged")

    monkeypatch.setattr(run_so_far, "training_identity", broken)
    assert disk_needed(params, FOUND) == ANYWAY + (3 * 5 + 40 + 5) * KB


def test_the_time_is_that_of_the_images_to_come(params, workspace):
    def time():
        found = [text for heading, text in speed_lines(params, FOUND) if heading == "time"]
        return found[0].partition(", images")[0]

    settings = params.run_settings()
    steps = settings.total_nimg // settings.train.batch_size
    assert time().startswith("training about")
    folder = stage_identity("train", params).folder(workspace) / "checkpoints"
    half = settings.train.batch_size * (steps // 2)
    written(folder / f"checkpoint-{half:012d}.safetensors", KB)
    left = TrainingWork(settings, FOUND.costs).between(half, settings.total_nimg)
    assert time() == f"training {about(left)} from {half / 1000:g} kimg on, where it stopped"
    written(folder.parent / "train.json", 7)
    assert time() == "the training is done"
