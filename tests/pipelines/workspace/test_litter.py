"""What killed starts have left is swept up; what a living one uses stays."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from foundation.unfinished_files import unfinished_name
from pipelines.workspace.litter import sweep_up
from pipelines.workspace.run_folder import locked

ROOT = Path(__file__).parents[3]
MADE = (
    *("outputs/.gitignore", "outputs/train/train.json", "reports/report.html", ".runs/ray/a/b"),
    *("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlruns/1/a", "plots/index.html"),
    *("dvc_plots/index.html", "models/__pycache__/a.pyc", ".pytest_cache/a", ".ruff_cache/a"),
    *(".mypy_cache/a", ".import_linter_cache/a", "tmp/a"),
)
RUN, OTHER = "train-0123456789abcdef", "train-fedcba9876543210"


def start(root, run, number=0):
    path = root / ".runs" / "ray" / f"{run}-{number:012x}"
    path.mkdir(parents=True)
    return path


def dead(path):
    """A file that a killed process of this machine was writing."""
    process = subprocess.Popen(["true"])
    process.wait()
    name = unfinished_name(path)
    out = name.with_name(name.name.replace(f"-{os.getpid()}-", f"-{process.pid}-"))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    return out


def test_files_of_killed_writers_go_wherever_they_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    killed = [
        dead(tmp_path / ".runs" / RUN / "checkpoints" / "checkpoint-1.safetensors"),
        dead(tmp_path / ".runs" / "floors" / "a.npz"),
        dead(tmp_path / "reports" / "metrics.json"),
    ]
    living = unfinished_name(tmp_path / ".runs" / RUN / "train.json")
    living.touch()
    sweep_up(tmp_path)
    assert not any(path.exists() for path in killed) and living.exists()


def test_rays_folders_of_finished_and_gone_runs_go(tmp_path):
    (tmp_path / ".runs" / RUN).mkdir(parents=True)
    (tmp_path / ".runs" / RUN / "train.json").touch()
    for number in range(3):
        start(tmp_path, RUN, number)
    start(tmp_path, OTHER)
    kept = tmp_path / ".runs" / "ray" / "something-else"
    kept.mkdir()
    sweep_up(tmp_path)
    assert os.listdir(tmp_path / ".runs" / "ray") == [kept.name]
    assert not (tmp_path / ".runs" / f"{OTHER}.lock").exists()


def test_rays_folders_of_unfinished_and_living_runs_stay(tmp_path):
    (tmp_path / ".runs" / RUN).mkdir(parents=True)
    failed, living = start(tmp_path, RUN), start(tmp_path, OTHER)
    with locked(tmp_path / ".runs" / OTHER):
        sweep_up(tmp_path)
        assert failed.exists() and living.exists()
    sweep_up(tmp_path)
    assert failed.exists() and not living.exists()


def ignored(folder):
    """What git would not ignore of it, and what it ignores, as `git status` tells."""
    told = subprocess.run(
        ["git", "status", "--porcelain", "--ignored", "--untracked-files=normal"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line[3:] for line in told.stdout.splitlines()}


@pytest.fixture
def project(tmp_path):
    for name in ("Makefile", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "clean.py").touch()
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    before = ignored(tmp_path)
    for name in MADE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "lib" / "__pycache__").mkdir(parents=True)
    (tmp_path / ".venv" / "lib" / "__pycache__" / "a.pyc").touch()
    return tmp_path, before


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_clean_leaves_the_environment_and_nothing_that_runs_made(project):
    folder, before = project
    said = subprocess.run(["make", "clean"], cwd=folder, capture_output=True, text=True)
    assert said.returncode != 0 and "make clean YES=1  removes outputs" in said.stdout
    assert (folder / "outputs").exists(), "nobody was asked"
    clean = ["make", "clean", "YES=1"]
    subprocess.run(clean, cwd=folder, check=True, capture_output=True)
    assert ignored(folder) - before == {".venv/", "tmp/"}
    assert (folder / ".venv" / "lib" / "__pycache__" / "a.pyc").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_clean_removes_nothing_elsewhere(tmp_path):
    (tmp_path / "outputs").mkdir()
    command = ["make", "-f", str(ROOT / "Makefile"), "clean", "YES=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and f"{tmp_path} does not hold this project" in done.stdout
    assert (tmp_path / "outputs").exists()


@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_clean_removes_nothing_while_a_run_is_trained(project):
    folder, _ = project
    before = ignored(folder)
    with locked(folder / ".runs" / RUN):
        clean = ["make", "clean", "YES=1"]
        done = subprocess.run(clean, cwd=folder, capture_output=True, text=True)
        assert done.returncode != 0 and f"{RUN}: stop it first" in done.stdout
        assert ignored(folder) == before
    subprocess.run(clean, cwd=folder, check=True, capture_output=True)
    assert not (folder / ".runs").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_clean_calls_the_command_where_an_environment_is(project):
    folder, _ = project
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "called: $@"\n')
    program.chmod(0o755)
    for words, called in (((), "called: -m pipelines.clean\n"), (("YES=1",), "clean --yes\n")):
        command = ["make", "-s", "clean", *words]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        assert said.stdout.endswith(called)
    assert (folder / "outputs").exists()
