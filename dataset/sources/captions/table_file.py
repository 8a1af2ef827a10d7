"""Captions in a table: a .csv file with a head, or a .jsonl file."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import PurePosixPath
from typing import Any

from dataset.errors import DatasetError
from dataset.sources.captions.config import InTable
from foundation.few_names import few, plain

COLUMNS = 12
"""Columns of a table that a message names."""


def captions_in_table(config: InTable, data: bytes, names: Sequence[str]) -> list[str]:
    """The caption of each image of `names`, paths with `/`; "" where the table has none.

    data: content of the file, UTF-8. Raises a one-line DatasetError for a table that cannot be
    read, lacks a column, or names none of the images.
    """
    found = _by_name(config, data)
    files = [PurePosixPath(name).name for name in names]
    alone = _once(files)
    captions = []
    for name, file in zip(names, files, strict=True):
        caption = found.get(name)
        if caption is None and file in alone:
            caption = found.get(file)
        captions.append(caption or "")
    if not any(captions):
        first = plain(next(iter(found), ""))
        raise DatasetError(
            f"dataset.captions.file: {config.file} has no caption of any image"
            + (f" (it names {first}, and the images are such as {names[0]})" if first else "")
            + ": give the table of these images"
        )
    return captions


def _once(files: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    twice: set[str] = set()
    for file in files:
        (twice if file in seen else seen).add(file)
    return seen - twice


def _by_name(config: InTable, data: bytes) -> dict[str, str]:
    """The first caption of each name."""
    found: dict[str, str] = {}
    for number, row in _rows(config, data):
        for key in ("image_column", "text_column"):
            column = getattr(config, key)
            if column not in row:
                known = few([str(name) for name in row], COLUMNS) or "none"
                raise DatasetError(
                    f"dataset.captions.{key}: {config.file} has no column {column!r} in row "
                    f"{number}, only {known}: name one of them"
                )
        name, caption = row[config.image_column], row[config.text_column]
        if isinstance(name, str) and isinstance(caption, str) and caption.strip():
            found.setdefault(name.replace("\\", "/").removeprefix("./"), caption)
    return found


def _rows(config: InTable, data: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = data.decode("utf-8-sig")
        if PurePosixPath(config.file).suffix.lower() in (".jsonl", ".ndjson"):
            # Not splitlines(): a JSON string may hold U+2028 and U+0085 as they are.
            for number, line in enumerate(text.split("\n"), 1):
                if line.strip():
                    row = json.loads(line.removesuffix("\r"))
                    if not isinstance(row, dict):
                        raise ValueError(f"row {number} is no JSON object")
                    yield number, row
        else:
            yield from enumerate(csv.DictReader(StringIO(text, newline=""), strict=True), 2)
    except (ValueError, csv.Error, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        reason = plain(str(error).splitlines()[0])
        raise DatasetError(
            f"dataset.captions.file: {config.file} cannot be read ({reason}): give a .csv "
            "file with a head, or a .jsonl file, in UTF-8"
        ) from None
