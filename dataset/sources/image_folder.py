"""A folder, or a zip of one, with images of any Pillow format; sub-folders are classes.

Hidden files, folders that systems leave behind (__MACOSX, @eaDir, ...), and files without an image
suffix are ignored; a file with an image suffix that cannot be read counts as damaged. A single
folder that holds everything else, as in many zips, is not taken for a class. Images are ordered by
name, code point by code point, so the order is the same on every machine; classes in natural order.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image

from dataset.decode import MAX_BYTES, decode, image_suffixes, reason
from dataset.errors import DamagedImage, DatasetError
from dataset.sources.class_folders import (
    class_folders,
    is_no_data,
    path_parts,
    remarks_on_spelling,
)
from dataset.sources.config import SourceConfig
from dataset.sources.locate import locate
from dataset.sources.record import Record, Source

Opener = Callable[[], IO[bytes]]


def check_image_folder(config: SourceConfig) -> None:
    """Takes a path, and no name."""
    config.refuse_name()
    if config.path is None:
        raise ValueError("source image_folder needs path: the folder or .zip of your images")


@contextmanager
def open_image_folder(config: SourceConfig, roots: Sequence[Path]) -> Iterator[Source]:
    """List the folder or zip at `config.path`; images are read as the records are loaded."""
    assert config.path is not None
    path = locate(config.path, roots)
    if path.is_dir():
        files = [(name, partial(_open_file, file)) for name, file in _walk(path)]
        yield _source(path, files, config.class_level)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"dataset.path: {path} is neither a folder nor an intact zip ({reason(error)}): give "
            "one of the two"
        ) from None
    with archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        named = [(_member_name(info), partial(archive.open, info)) for info in members]
        yield _source(path, named, config.class_level)


def _source(path: Path, files: Sequence[tuple[str, Opener]], class_level: int) -> Source:
    """Choose the images among named files and read classes from their folders."""
    images, names = [], []
    for name, opener in files:
        parts = path_parts(name)
        hidden = any(map(is_no_data, parts))
        if not hidden and PurePosixPath(name).suffix.lower() in image_suffixes():
            images.append((parts, opener))
            names.append(name)
    if not images:
        others = f"only {len(files)} other files" if files else "no files"
        raise DatasetError(
            f"dataset.path: {path} holds no images, {others}: put images (.png, .jpg, ...) there"
        )
    images.sort(key=lambda item: item[0])
    found = class_folders([parts for parts, _ in images], class_level, path)
    records = (
        Record("/".join(parts), partial(_load, opener), label)
        for (parts, opener), label in zip(images, found.labels, strict=True)
    )
    remarks = (*found.remarks, *remarks_on_spelling(names))
    return Source(found.names, len(images), records, remarks)


def _member_name(info: zipfile.ZipInfo) -> str:
    """A zip member's name: UTF-8 where it is, whether its writer says so or not.

    Names of Unix programs are bytes as in a folder; all other names are of code page 437.
    """
    unix = 3
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8", "surrogateescape" if info.create_system == unix else "strict")
    except UnicodeDecodeError:
        return info.filename


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """(name in the folder, with `/`; path) of each file; links are followed, loops are not."""
    todo = [("", str(folder), frozenset[tuple[int, int]]())]
    while todo:
        prefix, path, ancestors = todo.pop()
        status = os.stat(path)
        inode = (status.st_dev, status.st_ino)
        if inode in ancestors:
            continue
        above = ancestors | {inode}
        try:
            entries = list(os.scandir(path))
        except OSError as error:
            raise DatasetError(
                f"dataset.path: folder {path} cannot be listed ({reason(error)}): mend it"
            ) from None
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir():
                if not is_no_data(entry.name):
                    todo.append((name + "/", entry.path, above))
            elif entry.is_file() or entry.is_symlink():  # a dangling link is a damaged image
                yield name, entry.path


def _open_file(path: str) -> IO[bytes]:
    return open(path, "rb")


def _load(opener: Opener) -> Image.Image:
    try:
        with opener() as file:
            data = file.read(MAX_BYTES + 1)
    except Exception as error:  # a damaged or encrypted zip member may raise anything
        raise DamagedImage(reason(error)) from None
    return decode(data)
