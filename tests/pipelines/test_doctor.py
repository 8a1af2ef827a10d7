"""What the doctor says of the place in which the stages will run, and what it mends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_downloaded_archive_runs_without_git(workspace):
    """`dvc repro` once said "is not a git repository" after the doctor had found nothing amiss."""
    (workspace / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", workspace / ".dvc")
    shutil.copy(ROOT / "presets" / "digits.yaml", workspace / "params.yaml")
    bin_folder = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": bin_folder + os.pathsep + os.environ["PATH"],
        "PYTHONPATH": str(workspace),
        "GIT_CEILING_DIRECTORIES": str(workspace.parent),
    }

    def run(*words: str) -> str:
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed = run("python", "-m", "pipelines.doctor").splitlines()
    notes = [line for line in printed if line.startswith("note") and "git" in line]
    assert len(notes) == 2
    assert "core.no_scm = true written to .dvc/config.local" in notes[0]
    assert "`dvc exp` and pipelines.replicate do not" in notes[1]
    assert "git init && git add -A && git commit" in notes[1]
    run("dvc", "repro", "kinds")
    assert (workspace / "outputs" / "kinds").is_dir()
