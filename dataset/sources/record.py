"""What every source gives: its classes, its number of images, and the images one by one."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dataset.sources.config import SourceConfig


class Record(NamedTuple):
    """One image that has not been read yet."""

    name: str
    """Where it comes from, for messages and dataset.json."""
    load: Callable[[], Image.Image]
    """Reads and decodes it; raises DamagedImage. Called once, perhaps in another thread."""
    label: int = -1
    """Index into the source's label names; -1 = unlabelled."""
    caption: str = ""
    """What the image shows, in words; "" where dataset.captions is null or names none."""


@dataclass(frozen=True)
class Source:
    """An opened source; records can be iterated once, and loaded while it is open."""

    label_names: tuple[str, ...]
    count: int
    records: Iterable[Record]
    remarks: tuple[str, ...] = ()
    """What somebody who prepares these images should know, one line each."""
    other_files: tuple[str, ...] = ()
    """Names of the files beside the images, which are left out."""


class SourceKind(NamedTuple):
    """A kind of source: how it is opened, and which settings it refuses."""

    open: Callable[[SourceConfig, Sequence[Path]], AbstractContextManager[Source]]
    """open(config, roots): a relative path is looked up in each of `roots` in turn."""
    check: Callable[[SourceConfig], None]
    """Raises ValueError for settings that cannot be meant. It looks at no file."""
