"""The row of a study's unit that need not be computed again."""

from pathlib import Path
from typing import Any

from foundation.json_files import read_object


def standing_row(path: Path, mark: str) -> dict[str, Any] | None:
    """The row that was kept under this fingerprint; None if there is none that can be read."""
    try:
        row = read_object(path)
    except (OSError, ValueError):
        return None
    return row if row.get("fingerprint") == mark else None
