"""What pipelines.clean lists, asks, refuses and removes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import clean
from pipelines.params import load_params
from pipelines.workspace import removable
from pipelines.workspace.in_use import InUse
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
def project(tmp_path, monkeypatch, copy_code, write_data_set):
    folder = tmp_path / "project"
    folder.mkdir()
    copy_code(folder)
    shutil.copy(ROOT / "presets" / "digits.yaml", folder / "params.yaml")
    for name in MADE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("made")
    write_data_set(folder, load_params(folder / "params.yaml"))
    other = {"params": "other", "inputs": "other", "fingerprint": "0123456789abcdef"}
    (folder / ".runs" / "train-0123456789abcdef" / "identity.json").write_text(json.dumps(other))
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
    assert (project / "params.yaml").exists() and (project / "models" / "denoiser.py").exists()


@pytest.mark.parametrize(
    ("words", "gone"),
    [(["--stale"], STALE), (["--caches"], CACHES), (["--stale", "--caches"], STALE | CACHES)],
)
def test_parts(project, monkeypatch, capsys, words, gone):
    call(monkeypatch, *words, "--yes")
    assert set(MADE) - left(project) == gone
    if "--stale" in words:
        assert "1 finished runs of other params" in capsys.readouterr().out


def test_it_does_not_take_its_own_locks_for_a_change(project, monkeypatch, capsys):
    for run in ("train-0123456789abcdef", "train-fedcba9876543210", "reference-0123456789abcdef"):
        (project / ".runs" / run).mkdir(exist_ok=True)
        for lock in (f"{run}.lock", f"{run}/writing.lock", "mlflow.lock"):
            (project / ".runs" / lock).touch()
    (project / ".runs" / "gone.lock.holder").touch()
    for words in (("--stale",), ()):
        call(monkeypatch, *words, answer="y")
        assert "files and folders removed" in capsys.readouterr().out
    assert left(project) == KEPT
    assert sorted(os.listdir(project / ".runs")) == ["use.lock"]


def test_dvcs_cache_goes_only_when_it_is_named(project, monkeypatch):
    call(monkeypatch, "--dvc-cache", "--yes")
    assert left(project) == {".venv/lib/__pycache__/a.pyc"}


def test_dvcs_cache_stays_while_results_that_stay_are_links_into_it(project, monkeypatch):
    (project / "outputs" / "ema" / "0.1.safetensors").unlink()
    (project / "outputs" / "ema" / "0.1.safetensors").symlink_to(project / ".dvc/cache/files/a")
    for words in (("--caches",), ("--stale",), ("--ray",)):
        with pytest.raises(ValueError, match=r"0\.1\.safetensors' would lose the content"):
            call(monkeypatch, "--dvc-cache", *words, "--yes")
        assert left(project) == set(MADE)
    call(monkeypatch, "--dvc-cache", "--yes")
    assert left(project) == {".venv/lib/__pycache__/a.pyc"}


@pytest.mark.parametrize("name", ["outputs", ".runs", "outputs/ema"])
def test_a_link_to_another_disk_stays_with_what_it_names(
    project, tmp_path, monkeypatch, capsys, name
):
    disk = tmp_path / "disk"
    shutil.move(project / name, disk)
    (project / name).symlink_to(disk)
    before = sorted(disk.rglob("*"))
    for words in ((), ("--stale",)):
        call(monkeypatch, *words, "--yes")
        assert (project / name).is_symlink()
        assert set(before) <= {*disk.rglob("*")}
        assert f"kept: {name} is a link to {disk}" in capsys.readouterr().out


def test_what_a_training_uses_stays(project, monkeypatch):
    with locked(project / ".runs" / "train-0123456789abcdef"):
        with pytest.raises(InUse, match="train-0123456789abcdef"):
            call(monkeypatch, "--yes")
        assert left(project) == set(MADE)
        call(monkeypatch, "--caches", "--yes")
        assert left(project) == set(MADE) - CACHES


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


@pytest.mark.parametrize("answer", ["y", None])
def test_elsewhere_it_removes_nothing_and_says_where_it_is(tmp_path, monkeypatch, answer):
    """Another project of DVC has such folders too."""
    for name in (*MADE, "dvc.yaml", "params.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(removable.tempfile, "gettempdir", lambda: str(tmp_path))
    for words in ((), ("--caches",), ("--stale",), ("--dvc-cache",)):
        with pytest.raises(ValueError, match=f"{tmp_path} does not hold this project"):
            call(monkeypatch, *words, "--yes", answer=answer)
    assert left(tmp_path) == set(MADE)


def test_another_root_of_dvc_is_not_cleaned_from_here(project, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="DVC_ROOT names"):
        call(monkeypatch, "--yes")
    assert left(project) == set(MADE)


BEGIN = """
import sys
from pathlib import Path
from pipelines.workspace.run_folder import locked
with locked(Path(".runs/train-aaaaaaaaaaaaaaaa")):
    print("locked", flush=True)
    sys.stdin.readline()
"""


def test_what_begins_while_it_asks_keeps_everything(project, monkeypatch):
    started = []

    def meanwhile(question):
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", BEGIN]
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        assert started[0].stdout.readline() == "locked\n"
        return "y"

    monkeypatch.setattr(sys, "argv", ["clean"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", meanwhile)
    try:
        with pytest.raises(InUse, match="train-aaaaaaaaaaaaaaaa"):
            clean.main()
        assert left(project) == set(MADE)
    finally:
        started[0].communicate("end\n")


@pytest.mark.parametrize("name", ["outputs/ema/0.2.safetensors", "reports/report.html"])
def test_what_was_made_while_it_asked_was_not_agreed_to(project, monkeypatch, name):
    monkeypatch.setattr(sys, "argv", ["clean"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(
        "builtins.input", lambda question: (project / name).write_text("new") and "y"
    )
    with pytest.raises(InUse, match="has changed since it was listed"):
        clean.main()
    assert left(project) == set(MADE) and (project / name).read_text() == "new"


def test_nothing_begins_while_it_removes(project, monkeypatch, capsys):
    """A command that starts meanwhile waits, and finds its own lock file at its place."""
    seen = []
    remove = clean.remove

    def watched(path):
        if not seen:
            code = f"import fcntl; fcntl.flock(open({'.runs/use.lock'!r}), fcntl.LOCK_SH | 4)"
            seen.append(subprocess.run([sys.executable, "-c", code], capture_output=True))
        return remove(path)

    monkeypatch.setattr(clean, "remove", watched)
    call(monkeypatch, "--yes")
    assert b"BlockingIOError" in seen[0].stderr
    assert (project / ".runs" / "use.lock").is_file(), "who waits for it locks this very file"
    call(monkeypatch, "--yes")
    assert "nothing to remove" in capsys.readouterr().out.splitlines()[-1]


def test_what_cannot_be_removed_is_named_and_the_rest_goes(project, monkeypatch, capsys):
    def refuse(self, missing_ok=False, unlink=Path.unlink):
        if self.name == "mlflow.db":
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, "--yes")
    assert end.value.code == 1 and left(project) == KEPT | {"mlflow.db"}
    assert "clean: mlflow.db could not be removed: it belongs to another" in capsys.readouterr().out


def test_what_no_stage_made_is_listed_apart(project, monkeypatch, capsys):
    (project / "outputs" / "mine").mkdir()
    (project / "plots").mkdir()
    (project / "plots" / "my figure.pdf").touch()
    home = project / ".runs" / "home" / "notes"
    home.mkdir(parents=True)
    call(monkeypatch, "--dry-run")
    assert "no stage made and no cache keeps: outputs/mine\n" in capsys.readouterr().out
    call(monkeypatch, "--yes")
    assert not (project / "outputs" / "mine").exists()
    assert (project / "plots" / "my figure.pdf").exists() and home.exists()


def test_a_name_with_line_breaks_forges_no_line(project, monkeypatch, capsys):
    (project / "outputs" / "a\nclean: nothing was removed").touch()
    call(monkeypatch, "--yes")
    said = capsys.readouterr().out
    assert "'outputs/a\\nclean: nothing was removed'" in said
    assert "\nclean: nothing was removed" not in said
    assert os.listdir(project / "outputs") == []
