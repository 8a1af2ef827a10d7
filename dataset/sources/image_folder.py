"""A folder, or a zip of one, with images of any Pillow format; first-level sub-folders are classes.

Hidden files, __MACOSX, and files without an image suffix are ignored; a file with an image suffix
that cannot be read counts as damaged. A single folder that holds everything else, as in many zips,
is not taken for a class. Images are ordered by name, code point by code point, so the order is the
same on every machine.
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
        yield _source(path, [(name, partial(_open_file, file)) for name, file in _walk(path)])
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
        yield _source(path, [(info.filename, partial(archive.open, info)) for info in members])


def _source(path: Path, files: list[tuple[str, Opener]]) -> Source:
    """Choose the images among named files and read classes from their folders."""
    images = []
    for name, opener in files:
        parts = PurePosixPath(name).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if not hidden and PurePosixPath(name).suffix.lower() in image_suffixes():
            images.append((parts, opener))
    if not images:
        others = f"only {len(files)} other files" if files else "no files"
        raise DatasetError(
            f"dataset.path: {path} holds no images, {others}: put images (.png, .jpg, ...) there"
        )
    images.sort(key=lambda item: item[0])
    wrapped = _common_depth([parts for parts, _ in images])
    classes = sorted({parts[wrapped] for parts, _ in images if len(parts) > wrapped + 1})
    loose = [parts for parts, _ in images if len(parts) == wrapped + 1]
    if classes and loose:
        raise DatasetError(
            f"dataset.path: {path} holds images beside sub-folders ({'/'.join(loose[0])} beside "
            f"{classes[0]}/): move all images into sub-folders, or none"
        )
    index = {name: label for label, name in enumerate(classes)}
    records = (
        Record("/".join(parts), partial(_load, opener), index.get(parts[wrapped], -1))
        for parts, opener in images
    )
    return Source(tuple(classes), len(images), records)


def _common_depth(paths: list[tuple[str, ...]]) -> int:
    """How many leading folders all paths share."""
    first, last = min(paths), max(paths)  # what the extremes share, all share
    shallowest = min(len(path) for path in paths) - 1
    depth = 0
    while depth < shallowest and first[depth] == last[depth]:
        depth += 1
    return depth


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
                if not entry.name.startswith("."):
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
