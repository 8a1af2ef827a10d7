"""What all stages share at their start and end: arguments, params, and one-line errors."""

import argparse
import os
import sys
from collections.abc import Callable

from pipelines.settings.yaml_file import DEFAULT_PATH

USER_ERRORS = (ValueError, FileNotFoundError, RuntimeError, OSError)


def parser(description: str) -> argparse.ArgumentParser:
    """Command line of a stage: --params beside what the stage adds."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--params", default=DEFAULT_PATH, help="params file (default: %(default)s)")
    return out


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's main; a user's mistake is one clear message and exit code 1, not a traceback.

    SADM_TRACEBACK=1 shows the traceback as well.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on where this one stopped")
    except USER_ERRORS as error:
        if os.environ.get("SADM_TRACEBACK") == "1":
            raise
        text = str(error).strip() or type(error).__name__
        sys.exit(f"error: {text}")
