"""Runs the DVC of this Python environment, whichever `dvc` is first on the PATH.

DVC runs stages without git only if its settings say so, and experiments only with git.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

LOCAL_SETTINGS = Path(".dvc/config.local")

START_GIT = "git init && git add -A && git commit -m start"


def run_dvc(*words: str, show: Callable[[str], None] = lambda line: None) -> list[str]:
    """Run `dvc WORDS` in the current folder; returns its lines and passes each to `show`.

    Raises RuntimeError with the first error that a stage or DVC printed, else DVC's last line.
    """
    settle_git()
    return _run(*words, show=show)


def _run(*words: str, show: Callable[[str], None] = lambda line: None) -> list[str]:
    here = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": here + os.pathsep + os.environ.get("PATH", "")}
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", *words],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            show(lines[-1])
    if process.returncode:
        raise RuntimeError(last_words(lines))
    return lines


def last_words(lines: list[str]) -> str:
    """The first "error: ..." that a stage printed, or DVC; else the last line with words."""
    spoken = [line.strip() for line in lines if line.strip()]
    for sign in ("error:", "ERROR:"):
        for line in spoken:
            if line.startswith(sign):
                return line.removeprefix(sign).strip()
    return spoken[-1] if spoken else "dvc failed without a word"


def settle_git() -> str | None:
    """Let DVC run here without git if there is none, or with it again; returns what it told DVC.

    None if nothing was to be told. The current folder is the project's. What it tells stands in
    DVC's settings of this copy of the project, which are not committed.
    """
    here = Path.cwd()
    if not LOCAL_SETTINGS.parent.is_dir():
        return None  # DVC will say what is missing
    told = LOCAL_SETTINGS.is_file() and "no_scm" in LOCAL_SETTINGS.read_text()
    found = any((folder / ".git").exists() for folder in (here, *here.parents))
    if found and told:
        _run("config", "--local", "--unset", "core.no_scm")
        return f"core.no_scm removed from {LOCAL_SETTINGS}, since there is git now"
    if not found and not told:
        _run("config", "--local", "core.no_scm", "true")
        return f"core.no_scm = true written to {LOCAL_SETTINGS}, since there is no git here"
    return None


def git_problem() -> str | None:
    """Why DVC cannot keep experiments here, and the mend; None if it can."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True
        )
    except OSError:
        return "git is not installed"
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines() or [""]
    if "not a git repository" in said[0]:
        return f"this folder is no git repository: {START_GIT}"
    if "single revision" in said[0] or "unknown revision" in said[0]:
        return "the git repository has no commit yet: git add -A && git commit -m start"
    return said[0].removeprefix("fatal: ")
