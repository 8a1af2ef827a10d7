"""A Hugging Face data set, by hub id or local folder, through the optional `datasets` library.

The library keeps the data in memory-mapped Arrow files; images are decoded here, by the same code
as files, and code shipped with a data set is never run.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from dataset.decode import MAX_BYTES, decode, reason
from dataset.errors import DamagedImage, DatasetError
from dataset.names import natural_order
from dataset.sources.captions.config import InColumn
from dataset.sources.config import SourceConfig
from dataset.sources.locate import places
from dataset.sources.record import Record, Source
from dataset.sources.regular_file import open_regular
from foundation.few_names import few

COLUMNS = 12
"""Columns that a message names."""


def check_huggingface(config: SourceConfig) -> None:
    """Takes a name, and no path."""
    config.refuse_path("name instead")
    if config.name is None:
        raise ValueError("source huggingface needs name: a hub id or a local folder")


@contextmanager
def open_huggingface(config: SourceConfig, roots: Sequence[Path]) -> Iterator[Source]:
    """The rows of one split in their order; a label of None or below 0 is unlabelled."""
    try:
        import datasets
    except ImportError:
        raise DatasetError(
            "dataset.source huggingface needs the library datasets: pip install datasets"
        ) from None
    rows = _load(datasets, config, roots)
    text_column = config.captions.column if isinstance(config.captions, InColumn) else None
    for key, column in (
        ("image_column", config.image_column),
        ("label_column", config.label_column),
        ("captions.column", text_column),
    ):
        if column is not None and column not in rows.column_names:
            raise DatasetError(
                f"dataset.{key}: {config.name} has no column {column!r}, only "
                f"{few(rows.column_names, COLUMNS)}: name one of them"
                + (", or null for no labels" if key == "label_column" else "")
            )
    wanted = (config.image_column, config.label_column, text_column)
    kept = list(dict.fromkeys(column for column in wanted if column is not None))
    names, index = _classes(datasets, rows, config.label_column)
    try:
        rows = rows.select_columns(kept)
        rows = rows.cast_column(config.image_column, datasets.Image(decode=False))
    except Exception as error:  # Arrow raises many kinds
        raise DatasetError(
            f"dataset.image_column: column {config.image_column!r} of {config.name} holds no "
            f"images ({reason(error)}): name another"
        ) from None
    records = (
        Record(
            f"row {number}",
            partial(_decode_cell, row[config.image_column]),
            -1 if config.label_column is None else index.get(row[config.label_column], -1),
            "" if text_column is None else _caption(row[text_column]),
        )
        for number, row in enumerate(rows)
    )
    yield Source(names, len(rows), records)


def _load(datasets: Any, config: SourceConfig, roots: Sequence[Path]) -> Any:
    """The split as a map-style data set."""
    assert config.name is not None
    folder = next((found for found in places(config.name, roots) if found.is_dir()), None)
    try:
        if folder is not None and any(
            (folder / name).is_file() for name in ("state.json", "dataset_dict.json")
        ):
            saved = datasets.load_from_disk(str(folder))
            return saved[config.split] if isinstance(saved, dict) else saved
        return datasets.load_dataset(str(folder or config.name), split=config.split)
    except Exception as error:  # of network, disk, format, names: the library raises many kinds
        raise DatasetError(
            f"dataset.name: {config.name} (split {config.split}) cannot be loaded "
            f"({type(error).__name__}: {reason(error)}): check name, split and network"
        ) from None


def _classes(
    datasets: Any, rows: Any, column: str | None
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Names of the classes, and from a cell's value to the class's index."""
    if column is None:
        return (), {}
    feature = rows.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return tuple(feature.names), {label: label for label in range(len(feature.names))}
    if not re.fullmatch(r"u?int\d+|bool|(large_)?string", str(getattr(feature, "dtype", None))):
        raise DatasetError(
            f"dataset.label_column: column {column!r} holds {feature}, not classes: name another, "
            "or null for no labels"
        )
    values = [value for value in rows.unique(column) if value is not None]
    values = [value for value in values if isinstance(value, str) or value >= 0]
    values.sort(key=lambda value: natural_order(str(value)))
    return tuple(str(value) for value in values), {value: i for i, value in enumerate(values)}


def _caption(cell: Any) -> str:
    """The text of a cell on one line; the first one of a list of captions."""
    if isinstance(cell, list | tuple):
        cell = next((text for text in cell if isinstance(text, str) and text.strip()), "")
    return " ".join(cell.split()) if isinstance(cell, str) else ""


def _decode_cell(cell: dict[str, Any] | None) -> Image.Image:
    """A cell of an undecoded image column: the file's bytes, or the path of a local file."""
    if cell is None:
        raise DamagedImage("no image in this row")
    data = cell.get("bytes")
    if data is None:
        try:
            with open_regular(cell["path"]) as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, TypeError, ValueError) as error:
            raise DamagedImage(reason(error)) from None
    return decode(data)
