"""What all commands share: the option --params, and errors in one line."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext

from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.settings.yaml_scalars import shortened
from pipelines.workspace.paths import dvc_root, is_project
from pipelines.workspace.use_lock import using
from pipelines.workspace.user import settle_user

MOST_IMAGES = 1_000_000
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of SIGINT."""
USER_ERRORS = (ValueError, FileNotFoundError, RuntimeError, OSError)


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the option --params, to which the stage adds its own."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--params", default=DEFAULT_PATH, help="params file (default: %(default)s)")
    return out


def environment(name: str) -> str | None:
    """The value of an environment variable, which gives DVC's stages what others give as options.

    None if it is empty or not set.
    """
    return os.environ.get(name) or None


def check_argument(name: str, value: float | None, least: int, most: int, why: str) -> None:
    """Raise ValueError if an argument lies outside of least to most; None: it is not given.

    why: what would happen above `most`, the end of the error message.
    """
    if value is None:
        return
    if not value >= least:
        raise ValueError(f"{name} {shortened(str(value))}: give {least} or more")
    if value > most:
        raise ValueError(f"{name} {shortened(str(value))}: at most {most:,} can be used: {why}")


def _say_waiting() -> None:
    print("waiting: pipelines.clean removes results here now", file=sys.stderr, flush=True)


def check_images(name: str, count: int | None) -> None:
    """Raise ValueError unless so many images can be drawn."""
    check_argument(name, count, 1, MOST_IMAGES, "images are kept in memory")


def check_seed(name: str, seed: int) -> None:
    """Raise ValueError unless `seed` can seed a generator."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"{name} {shortened(str(seed))}: a seed is from 0 to 2^63 - 1")


def training_options(arguments: argparse.ArgumentParser, variable: str) -> None:
    """Add --fresh and --adopt of a stage that trains one run.

    variable: what the names of the environment variables in their place begin with, "TRAIN".
    """
    arguments.add_argument(
        "--fresh",
        action="store_true",
        default=environment(f"{variable}_FRESH") == "1",
        help="train anew, removing what this run has so far",
    )
    adopt_option(arguments, variable)


def adopt_option(arguments: argparse.ArgumentParser, variable: str) -> None:
    """Add --adopt of a stage that trains."""
    arguments.add_argument(
        "--adopt",
        metavar="FINGERPRINT",
        default=environment(f"{variable}_ADOPT"),
        help="continue the unfinished run of that fingerprint, which differs in code only",
    )


def run_stage(main: Callable[[], None], *, uses_results: bool = True) -> None:
    """Run a command's main; an error of USER_ERRORS becomes a one-line message and exit code 1.

    Ctrl-C becomes a one-line message and exit code INTERRUPTED.

    Args:
        uses_results: whether pipelines.clean may remove nothing while the command runs.

    With the environment variable SADM_TRACEBACK=1 the traceback is shown instead.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the screen cannot show
    root = dvc_root()
    settle_user(root)
    in_use = using(root / ".runs", _say_waiting) if uses_results and is_project(root) else None
    try:
        with in_use or nullcontext():
            main()
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except USER_ERRORS as error:
        if os.environ.get("SADM_TRACEBACK") == "1":
            raise
        text = str(error).strip() or type(error).__name__
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            text += ": make room on this disk, then give the same command again"
        sys.exit(f"error: {text}")
