"""What pipelines.clean lists, asks, refuses and removes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import clean
from pipelines.workspace import removable
from pipelines.workspace.in_use import InUse, unused
from pipelines.workspace.removable import MARK, ray_sessions
from pipelines.workspace.run_folder import locked

ROOT = Path(__file__).parents[2]
MADE = (
    *("outputs/evaluate/0.1-heun18/metrics.json", "outputs/unused/0.3-heun18/a"),
    *("outputs/ema/0.1.safetensors", "outputs/ema/0.3.safetensors", "reports/report.html"),
    *("mlflow.db", "mlruns/1/a", ".runs/train-0123456789abcdef/checkpoints/a"),
    *(".runs/train-fedcba9876543210/train.json", ".runs/floors/a.npz"),
    *(".runs/ray/train-0123456789abcdef-0123456789ab/a", ".dvc/cache/files/a"),
    *("models/__pycache__/a.pyc", ".ruff_cache/a", ".venv/lib/__pycache__/a.pyc"),
)
STALE = {
    "outputs/unused/0.3-heun18/a",
    "outputs/ema/0.3.safetensors",
    ".runs/train-0123456789abcdef/checkpoints/a",
    ".runs/ray/train-0123456789abcdef-0123456789ab/a",
}
CACHES = {"models/__pycache__/a.pyc", ".ruff_cache/a"}
KEPT = {".venv/lib/__pycache__/a.pyc", ".dvc/cache/files/a"}


@pytest.fixture
def project(tmp_path, monkeypatch, copy_code):
    folder = tmp_path / "project"
    folder.mkdir()
    copy_code(folder)
    shutil.copy(ROOT / "presets" / "digits.yaml", folder / "params.yaml")
    for name in MADE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("made")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(removable.tempfile, "gettempdir", lambda: str(tmp_path))
    return folder


def call(monkeypatch, *words, answer=None):
    monkeypatch.setattr(sys, "argv", ["clean", *words])
    monkeypatch.setattr("sys.stdin.isatty", lambda: answer is not None, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    clean.main()


def left(folder):
    return {name for name in MADE if (folder / name).exists()}


def test_dry_run_lists_with_sizes_and_removes_nothing(project, monkeypatch, capsys):
    call(monkeypatch, "--dry-run")
    said = capsys.readouterr().out
    assert left(project) == set(MADE)
    assert "outputs" in said and ".runs/train-0123456789abcdef" in said and "mlflow.db" in said
    assert ".dvc/cache" not in said and ".venv" not in said
    assert "   4 bytes  report, comparisons, sweeps, replications: reports" in said


def test_it_asks_and_takes_no_for_an_answer(project, monkeypatch, capsys):
    for answer in ("n", "", "what"):
        call(monkeypatch, answer=answer)
        assert "nothing was removed" in capsys.readouterr().out
    assert left(project) == set(MADE)
    call(monkeypatch, answer="y")
    assert left(project) == KEPT


def test_without_a_terminal_it_needs_yes(project, monkeypatch):
    with pytest.raises(ValueError, match="--yes"):
        call(monkeypatch)
    assert left(project) == set(MADE)
    call(monkeypatch, "--yes")
    assert left(project) == KEPT
    assert (project / "params.yaml").exists() and (project / "models" / "unet.py").exists()


@pytest.mark.parametrize(
    ("words", "gone"),
    [(["--stale"], STALE), (["--caches"], CACHES), (["--stale", "--caches"], STALE | CACHES)],
)
def test_parts(project, monkeypatch, capsys, words, gone):
    call(monkeypatch, *words, "--yes")
    assert set(MADE) - left(project) == gone
    if "--stale" in words:
        assert "1 finished runs of other params" in capsys.readouterr().out


def test_dvcs_cache_goes_only_when_it_is_named(project, monkeypatch):
    call(monkeypatch, "--dvc-cache", "--yes")
    assert left(project) == {".venv/lib/__pycache__/a.pyc"}


def test_a_link_goes_and_what_it_names_stays(project, tmp_path, monkeypatch):
    shutil.rmtree(project / "outputs")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").touch()
    (project / "outputs").symlink_to(tmp_path / "elsewhere")
    call(monkeypatch, "--yes")
    assert not (project / "outputs").is_symlink() and (tmp_path / "elsewhere" / "a").exists()


def test_what_a_training_uses_stays(project, monkeypatch):
    with locked(project / ".runs" / "train-0123456789abcdef"):
        with pytest.raises(InUse, match="train-0123456789abcdef"):
            call(monkeypatch, "--yes")
        assert left(project) == set(MADE)
        call(monkeypatch, "--caches", "--yes")
        assert left(project) == set(MADE) - CACHES


def test_what_dvc_runs_stays(project):
    (project / ".dvc" / "tmp").mkdir()
    for pid, refused in ((os.getppid(), True), (2**22 + 1, False)):
        (project / ".dvc" / "tmp" / "rwlock").write_text(
            f'{{"outputs/ema": {{"write": {{"pid": {pid}, "cmd": "dvc repro"}}}}}}'
        )
        if refused:
            with pytest.raises(InUse, match=f"process {pid}"), unused(project):
                pass
        else:
            with unused(project):
                pass


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc")
def test_an_open_file_stays(project, monkeypatch):
    """As of MLflow's UI, which holds no lock of ours."""
    with subprocess.Popen(
        ["sh", "-c", "exec 3<mlflow.db; echo; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.read(1)
        with pytest.raises(InUse, match=f"process {process.pid} .*mlflow.db"):
            call(monkeypatch, "--yes")
        process.stdin.close()
    assert left(project) == set(MADE)


def test_ray_sessions_of_others_and_of_the_living_stay(project, tmp_path):
    def session(name, text):
        folder = tmp_path / "ray" / name
        folder.mkdir(parents=True)
        if text is not None:
            (folder / MARK).write_text(text)
        return folder

    ours = str(project.resolve())
    ended = session(f"session_2026-01-01_00-00-00_1_{2**22 + 1}", ours)
    session(f"session_2026-01-01_00-00-00_1_{os.getpid()}", ours)
    session(f"session_2026-01-01_00-00-00_2_{2**22 + 1}", "/elsewhere")
    session(f"session_2026-01-01_00-00-00_3_{2**22 + 1}", None)
    served = session(f"session_2026-01-01_00-00-00_4_{2**22 + 1}", ours)
    with subprocess.Popen(["sh", "-c", "read line", served.name], stdin=subprocess.PIPE) as other:
        assert ray_sessions(project, tmp_path).paths == (ended,)
        other.stdin.close()
    assert ray_sessions(project, tmp_path).paths == (ended, served)
