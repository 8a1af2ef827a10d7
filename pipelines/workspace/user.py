"""The name and the home folder of the user, also where the machine knows neither.

A container may run under a number without an entry in the list of users, and a service without
HOME. DVC and MLflow ask for a name, MLflow and Ray for a home.
"""

import getpass
import os
import pwd
import shlex
from pathlib import Path

SETTLED: dict[str, str] = {}
"""What settle_user has set in this process, for the doctor."""


def user_name() -> str:
    """The name of this process's user; uid-1234 if it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # Python versions differ
        return f"uid-{os.getuid()}"


def home() -> Path | None:
    """The user's home folder, which may not exist; None if nothing names one."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def settle_user(root: Path) -> None:
    """Set USER and HOME where they are missing, for this process and those that it starts.

    The home is the one in the list of users, or else a folder under .runs/ in `root`.
    """
    before = dict(os.environ)
    os.environ.setdefault("USER", user_name())
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)
        own = root / ".runs" / "home"
        found = home() or own
        try:
            if found == own:
                own.mkdir(parents=True, exist_ok=True)
            os.environ["HOME"] = str(found)
        except OSError:  # what needs a home will say so
            pass
    SETTLED.update({k: os.environ[k] for k in os.environ if os.environ[k] != before.get(k)})


def missing_for_dvc() -> str | None:
    """A line if `dvc`, typed by itself, would find no name or home of the user; else None."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        if SETTLED:
            given = " ".join(f"{name}={shlex.quote(value)}" for name, value in SETTLED.items())
            return (
                f"the user with number {os.getuid()} has no name on this machine, which `dvc` by "
                f"itself fails on: export {given} (make does)"
            )
    return None


def may_keep_files(folder: Path | None) -> bool:
    """Whether this process may write into a folder, or make it."""
    if folder is None:
        return False
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
