"""Trainings that are killed or interrupted, and go on by the same command: real processes and Ray."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, dvc_cache):
    """A training that nothing stopped; DVC's cache may hold it from test_end_to_end.py."""
    clone = Clone(tmp_path_factory.mktemp("clone"), dvc_cache)
    clone.run("dvc", "repro", "reconstruct")
    return clone


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob(".runs/train-*/checkpoints/checkpoint-*.safetensors"))


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_9_and_the_same_command_resumes(clone, tmp_path, workers):
    work = Clone(tmp_path / "killed", cluster={"num_workers": workers})
    shutil.copytree(clone.folder / "outputs" / "dataset", work.folder / "outputs" / "dataset")
    process = work.start("python", "-m", "pipelines.train")
    deadline = time.time() + 240
    while len(checkpoints(work.folder)) < 2 and time.time() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    newest = checkpoints(work.folder)[-1]
    nimg = int(newest.stem.split("-")[1])
    assert nimg < 512, "the run was over before it could be killed"
    out = work.run("python", "-m", "pipelines.train")
    assert "resum" in out.lower(), out
    whole = json.loads((clone.folder / "outputs/train/train.json").read_text())
    again = json.loads((work.folder / "outputs/train/train.json").read_text())
    assert again["final"]["loss"] == pytest.approx(whole["final"]["loss"], rel=1e-3)
    curves = [
        (f / "outputs/train/curves.csv").read_text().splitlines()
        for f in (work.folder, clone.folder)
    ]
    assert [row.split(",")[0] for row in curves[0]] == [row.split(",")[0] for row in curves[1]]


def test_ctrl_c_under_ray_is_told_and_tracked_as_such(clone, tmp_path):
    """Ray Train puts its own handler in the place of Python's.

    And a fine-tune on Ray starts from weights that params name relative to the project.
    """
    from mlflow.tracking import MlflowClient

    work = Clone(
        tmp_path / "stopped",
        cluster={"num_workers": 2},
        train={"total_kimg": 6.4, "init_from": "start/0.1.safetensors"},
    )
    (work.folder / "start").mkdir()
    for weights in (clone.folder / "outputs" / "ema").glob("0.1.*"):
        shutil.copy(weights, work.folder / "start")
    shutil.copytree(clone.folder / "outputs" / "dataset", work.folder / "outputs" / "dataset")
    process = work.start("python", "-m", "pipelines.train")
    deadline = time.time() + 240
    while not checkpoints(work.folder) and time.time() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "interrupted: the same command goes on" in said and "Traceback" not in said, said
    client = MlflowClient(f"sqlite:///{work.folder}/mlflow.db")
    runs = client.search_runs(["1"], "tags.stage = 'train'")
    assert {run.info.status for run in runs} == {"KILLED"}
