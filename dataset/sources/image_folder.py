"""A folder, or a zip of one, with images of any Pillow format; sub-folders are classes.

Hidden files and folders that systems leave behind (__MACOSX, @eaDir, ...) are ignored. A file is an
image if its suffix says so, and then counts as damaged where it cannot be read, or else if its
content says so; all others are left out, and counted. A single folder that holds everything else,
as in many zips, is not taken for a class. Images are ordered by name, code point by code point, so
the order is the same on every machine; classes in natural order.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from PIL import Image

from dataset.decode import MAX_BYTES, decode, image_suffixes, reason
from dataset.errors import DamagedImage, DatasetError
from dataset.image_files.kinds import HEAD, image_kind, refuse_camera_raw, unread_suffixes
from dataset.sources.captions.read import read_captions
from dataset.sources.class_folders import (
    class_folders,
    is_no_data,
    path_parts,
    remarks_on_spelling,
)
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
        yield _source(path, list(_walk(path)), config, roots)
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
        named = [(_member_name(info), partial(archive.open, info)) for info in members]
        yield _source(path, named, config, roots)


def _source(
    path: Path,
    files: Sequence[tuple[str, Opener | None]],
    config: SourceConfig,
    roots: Sequence[Path],
) -> Source:
    """Choose the images among named files, read classes from their folders, and captions."""
    images, names, left_out = [], [], []
    others: dict[str, Opener] = {}
    for name, opener in files:
        parts = path_parts(name)
        if any(map(is_no_data, parts)):
            continue
        if opener is not None and _is_image(name, opener):
            images.append((parts, opener))
            names.append(name)
        else:
            left_out.append("/".join(parts))
            if opener is not None:
                others["/".join(parts)] = opener
    if not images:
        instead = f"only {len(files)} other files" if files else "no files"
        raise DatasetError(
            f"dataset.path: {path} holds no images, {instead}: put images (.png, .jpg, ...) there"
        )
    images.sort(key=lambda item: item[0])
    found = class_folders([parts for parts, _ in images], config.class_level, path)
    captions = [""] * len(images)
    if config.captions is not None:
        shown = ["/".join(parts) for parts, _ in images]
        captions, used = read_captions(config.captions, shown, others, roots, path)
        left_out = [name for name in left_out if name not in used]
    records = (
        Record("/".join(parts), partial(_load, parts[-1], opener), label, caption)
        for (parts, opener), label, caption in zip(images, found.labels, captions, strict=True)
    )
    remarks = (*found.remarks, *remarks_on_spelling(names))
    return Source(found.names, len(images), records, remarks, tuple(left_out))


def _is_image(name: str, opener: Opener) -> bool:
    """Whether the file's suffix promises an image, or else its content is one."""
    if suffix_of(name) in image_suffixes() | unread_suffixes():
        return True
    try:
        with opener() as file:
            return image_kind(file.read(HEAD)) is not None
    except Exception:  # a damaged or encrypted zip member may raise anything
        return False


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
                if not is_no_data(entry.name):
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
