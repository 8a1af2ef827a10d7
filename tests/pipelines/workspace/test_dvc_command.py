"""DVC runs with git and without; what it says is found among what it prints."""

import subprocess
from pathlib import Path

import pytest

from pipelines.workspace.dvc_command import git_problem, last_words, run_dvc, settle_git


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with DVC's settings and no git, which is the current one."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def test_dvc_is_told_whether_there_is_git(project):
    local = Path(".dvc/config.local")
    run_dvc("status")  # it once said "is not a git repository"
    assert "no_scm = true" in local.read_text()
    assert settle_git() is None
    (project / ".git").mkdir()
    assert "no_scm removed" in (settle_git() or "")
    assert "no_scm" not in local.read_text()
    assert settle_git() is None


def test_settings_of_this_copy_are_kept(project):
    local = Path(".dvc/config.local")
    local.write_text("[cache]\n    dir = /some/where\n")
    assert "no_scm = true written" in (settle_git() or "")
    assert "dir = /some/where" in local.read_text()


def test_what_keeps_experiments_from_git_is_told_with_the_mend(project, monkeypatch):
    assert git_problem() == (
        "this folder is no git repository: git init && git add -A && git commit -m start"
    )
    subprocess.run(["git", "init", "-q"], check=True)
    assert "has no commit yet" in (git_problem() or "")
    name = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *name, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
    assert git_problem() is None
    monkeypatch.setenv("PATH", str(project))
    assert git_problem() == "git is not installed"


def test_the_error_is_found_among_what_dvc_prints():
    stage = ["Running stage 'train':", "error: lower train.lr", "ERROR: failed to reproduce"]
    assert last_words(stage) == "lower train.lr"
    own = ["ERROR: unexpected error - no home", "", "Having any troubles? Hit us up at ..."]
    assert last_words(own) == "unexpected error - no home"
    assert last_words(["", "odd", ""]) == "odd"
    assert last_words([]) == "dvc failed without a word"
