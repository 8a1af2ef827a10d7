"""A folder, or a zip of one, with images of any Pillow format; first-level sub-folders are classes.

Hidden files and __MACOSX are ignored. A file is an image if its suffix says so, and then counts as
damaged where it cannot be read, or else if its content says so; all others are left out, and
counted. A single folder that holds everything else, as in many zips, is not taken for a class.
Images are ordered by name, code point by code point, so the order is the same on every machine.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image

from dataset.decode import MAX_BYTES, decode, image_suffixes, reason
from dataset.errors import DamagedImage, DatasetError
from dataset.image_files.kinds import HEAD, image_kind, refuse_camera_raw, unread_suffixes
from dataset.sources.config import SourceConfig
from dataset.sources.locate import locate
from dataset.sources.record import Record, Source
from dataset.sources.regular_file import open_regular
from dataset.suffixes import suffix_of

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
        yield _source(path, list(_walk(path)))
        return
    with ExitStack() as opened:
        try:
            archive = zipfile.ZipFile(opened.enter_context(open_regular(path)))
        except Exception as error:  # on an odd directory zipfile raises many kinds
            raise DatasetError(
                f"dataset.path: {path} is neither a folder nor an intact zip ({reason(error)}): "
                "give one of the two"
            ) from None
        opened.enter_context(archive)
        members = [info for info in archive.infolist() if info.filename and not info.is_dir()]
        yield _source(path, [(info.filename, partial(archive.open, info)) for info in members])


def _source(path: Path, files: Sequence[tuple[str, Opener | None]]) -> Source:
    """Choose the images among named files and read classes from their folders."""
    images = []
    left_out: list[str] = []
    for name, opener in files:
        parts = PurePosixPath(name).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if hidden:
            continue
        if opener is not None and _is_image(name, opener):
            images.append((parts, opener))
        else:
            left_out.append(name)
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
        Record("/".join(parts), partial(_load, parts[-1], opener), index.get(parts[wrapped], -1))
        for parts, opener in images
    )
    return Source(tuple(classes), len(images), records, tuple(left_out))


def _is_image(name: str, opener: Opener) -> bool:
    """Whether the file's suffix promises an image, or else its content is one."""
    if suffix_of(name) in image_suffixes() | unread_suffixes():
        return True
    try:
        with opener() as file:
            return image_kind(file.read(HEAD)) is not None
    except Exception:  # a damaged or encrypted zip member may raise anything
        return False


def _common_depth(paths: list[tuple[str, ...]]) -> int:
    """How many leading folders all paths share."""
    first, last = min(paths), max(paths)  # what the extremes share, all share
    shallowest = min(len(path) for path in paths) - 1
    depth = 0
    while depth < shallowest and first[depth] == last[depth]:
        depth += 1
    return depth


def _walk(folder: Path) -> Iterator[tuple[str, Opener | None]]:
    """(name in the folder, with `/`; opener) of each file, None for a pipe, a device and the like.

    Links are followed, loops are not. A link to no regular file is a file that cannot be opened.
    """
    todo = [("", str(folder), frozenset[tuple[int, int]]())]
    while todo:
        prefix, path, ancestors = todo.pop()
        try:
            status = os.stat(path)
            inode = (status.st_dev, status.st_ino)
            if inode in ancestors:
                continue
            entries = list(os.scandir(path))
        except OSError as error:
            raise DatasetError(
                f"dataset.path: folder {path} cannot be listed ({reason(error)}): mend it"
            ) from None
        for entry in entries:
            name = prefix + entry.name
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:  # a link to itself, or to where one may not look
                is_folder, is_file = False, True
            if is_folder:
                if not entry.name.startswith("."):
                    todo.append((name + "/", entry.path, ancestors | {inode}))
            elif is_file or entry.is_symlink():
                yield name, partial(open_regular, entry.path)
            else:
                yield name, None


def _load(name: str, opener: Opener) -> Image.Image:
    refuse_camera_raw(name)
    try:
        with opener() as file:
            data = file.read(MAX_BYTES + 1)
    except Exception as error:  # a damaged or encrypted zip member may raise anything
        raise DamagedImage(reason(error)) from None
    return decode(data)
