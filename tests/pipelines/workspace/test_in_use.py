"""Nothing is removed while a command, DVC, or an experiment of DVC in a copy goes on."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.console.command import run_stage
from pipelines.workspace import use_lock
from pipelines.workspace.in_use import InUse, unused
from pipelines.workspace.run_folder import locked
from pipelines.workspace.use_lock import alone, using

ROOT = Path(__file__).parents[3]
COPY = ".dvc/tmp/exps/standalone/tmp5w357ftj/.dvc/tmp"
ENDED = 2**22 + 1


def refused(root, match):
    with pytest.raises(InUse, match=match), unused(root):
        pass
    return True


def free(root):
    with unused(root):
        return True


def table(root, kind, pid, where=".dvc/tmp"):
    """DVC's table as it writes it while `pid` runs a stage."""
    process = {"pid": pid, "cmd": "dvc repro"}
    entry = process if kind == "write" else [{"pid": ENDED, "cmd": "dvc repro"}, process]
    (root / where).mkdir(parents=True, exist_ok=True)
    text = json.dumps({kind: {str(root / "outputs" / "ema"): entry}})
    (root / where / "rwlock").write_text(text)


@pytest.mark.parametrize("where", [".dvc/tmp", COPY])
@pytest.mark.parametrize("kind", ["write", "read"])
def test_a_stage_that_dvc_runs_is_seen_also_in_a_copy(tmp_path, kind, where):
    table(tmp_path, kind, os.getppid(), where)
    assert refused(tmp_path, f"process {os.getppid()}, by {tmp_path / where / 'rwlock'}")
    table(tmp_path, kind, ENDED, where)
    assert free(tmp_path)


def test_the_table_that_dvc_itself_writes_is_read(tmp_path):
    code = (
        "import sys; from dvc.rwlock import rwlock; from dvc.fs import localfs\n"
        "with rwlock(sys.argv[1], localfs, 'repro', ['/a'], ['/b'], False):\n"
        "    print('runs', flush=True); sys.stdin.readline()"
    )
    folder = tmp_path / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "runs\n"
        assert refused(tmp_path, f"process {process.pid}")
        process.communicate("end\n")
    assert free(tmp_path)


@pytest.mark.parametrize("text", ["", '{"write": {"/a": ', '{"write": []}', '{"read": {"/a": 3}}'])
def test_a_table_that_cannot_be_read_counts_as_in_use(tmp_path, text):
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text(text)
    assert refused(tmp_path, "rwlock, which cannot be read")


@pytest.mark.parametrize("where", [".dvc/tmp", COPY])
def test_dvc_between_two_stages_is_seen_and_cannot_begin_meanwhile(tmp_path, where):
    lock = tmp_path / where / "lock"
    lock.parent.mkdir(parents=True)
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as zc.lockfile, which DVC uses
        assert refused(tmp_path, "DVC works here")
    with unused(tmp_path), open(lock, "r+") as wanted, pytest.raises(BlockingIOError):
        fcntl.flock(wanted, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_command_keeps_clean_off_as_long_as_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    seen = []

    def main():
        seen.append((tmp_path / ".runs").exists() and refused(tmp_path, "a command of this"))

    run_stage(main)
    assert seen == [False] and not (tmp_path / ".runs").exists(), "this is no project"
    for name in (".dvc", "pipelines", "training"):
        (tmp_path / name).mkdir()
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    run_stage(main)
    run_stage(lambda: seen.append(free(tmp_path)), uses_results=False)
    assert seen == [False, True, True]


def test_commands_share_the_lock_and_clean_has_it_alone(tmp_path):
    path, waited = tmp_path / use_lock.NAME, []
    with using(tmp_path), using(tmp_path, lambda: waited.append(1)), alone(path) as mine:
        assert not mine and not waited
    with locked(tmp_path / "train-0123456789abcdef"), alone(path) as mine:
        assert not mine
    with alone(path) as mine:
        assert mine
        code = (
            "import sys; from pathlib import Path; from pipelines.workspace.use_lock import using\n"
            "with using(Path(sys.argv[1]), lambda: print('waits', flush=True)): print('begins')"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "waits\n"
        assert process.poll() is None
    assert process.communicate()[0] == "begins\n"


def test_a_lock_file_that_was_removed_by_hand_is_not_trusted(tmp_path, monkeypatch):
    path, opened = tmp_path / use_lock.NAME, use_lock._opened

    def then_removed(name):
        descriptor = opened(name)
        monkeypatch.setattr(use_lock, "_opened", opened)
        name.unlink()
        return descriptor

    monkeypatch.setattr(use_lock, "_opened", then_removed)
    with using(tmp_path), alone(path) as mine:
        assert not mine
