"""What all commands share: the option --params, and errors in one line."""

import argparse
import os
import sys
from collections.abc import Callable

from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.workspace.paths import dvc_root
from pipelines.workspace.user import settle_user

USER_ERRORS = (ValueError, FileNotFoundError, RuntimeError, OSError)


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the option --params, to which the stage adds its own."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--params", default=DEFAULT_PATH, help="params file (default: %(default)s)")
    return out


def run_stage(main: Callable[[], None]) -> None:
    """Run a command's main; an error of USER_ERRORS becomes a one-line message and exit code 1.

    With the environment variable SADM_TRACEBACK=1 the traceback is shown instead.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    settle_user(dvc_root())
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on where this one stopped")
    except USER_ERRORS as error:
        if os.environ.get("SADM_TRACEBACK") == "1":
            raise
        text = str(error).strip() or type(error).__name__
        sys.exit(f"error: {text}")
