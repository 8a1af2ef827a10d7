"""Tags that say where a run comes from: its process, git state and DVC experiment."""

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def process_tags(process: "psutil.Process | None" = None) -> dict[str, str]:
    """Tags that identify a process, so that is_dead can tell later whether it has ended."""
    import psutil

    process = process or psutil.Process()
    return {
        "process.pid": str(process.pid),
        "process.started": f"{process.create_time():.1f}",
        "process.host": socket.gethostname(),
    }


def owner_tags() -> dict[str, str]:
    """process_tags of the `dvc` process that started this one; without such, of this one."""
    import psutil

    process = psutil.Process()
    for ancestor in process.parents():
        try:
            words = ancestor.cmdline()
        except psutil.Error:
            continue
        if any(Path(word).name == "dvc" for word in words[:3]) or words[1:3] == ["-m", "dvc"]:
            return process_tags(ancestor)
    return process_tags(process)


def is_dead(tags: Mapping[str, str]) -> bool:
    """True only if the process named by `process_tags` ran on this machine and is gone."""
    if tags.get("process.host") != socket.gethostname() or "process.pid" not in tags:
        return False
    import psutil

    try:
        process = psutil.Process(int(tags["process.pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        # Another process may have the same pid, but not the same start time (clocks shift by 1 s).
        return abs(process.create_time() - float(tags.get("process.started", 0))) > 2.0
    except psutil.AccessDenied:
        return False
    except (psutil.NoSuchProcess, ValueError):
        return True


def git_tags(folder: Path = Path()) -> dict[str, str]:
    """Commit, branch, and whether code or settings differ from the commit; {} outside git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *words], cwd=folder, capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.rstrip("\n") if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    changed = []
    for line in (git("status", "--porcelain", "--untracked-files=normal") or "").splitlines():
        state, name = line[:2], line[3:].strip('"')
        # Results of stages do not count as changes, and of untracked files only code and settings.
        if name == "dvc.lock" or name.startswith("reports/"):
            continue
        if state != "??" or name.endswith((".py", ".yaml")):
            changed.append(name)
    tags = {
        "git.commit": commit,
        "git.branch": git("rev-parse", "--abbrev-ref", "HEAD") or "HEAD",
        "git.dirty": str(bool(changed)).lower(),
        "mlflow.source.git.commit": commit,
    }
    if changed:
        tags["git.changed"] = ", ".join(changed[:50])
    return tags


def dvc_tags() -> dict[str, str]:
    """The DVC experiment this process belongs to, if any."""
    names = {"dvc.experiment": "DVC_EXP_NAME", "dvc.baseline": "DVC_EXP_BASELINE_REV"}
    return {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}
