"""Files that appear whole or not at all: written under another name, then renamed."""

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """A text file, made under another name and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
