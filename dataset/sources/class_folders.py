"""Which folder of an image's path names its class, and which folders are no part of a data set."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from dataset.errors import DatasetError
from dataset.names import is_utf8, natural_order, readable

Parts = tuple[str, ...]
"""A path's folders and file name."""

_NO_DATA = {
    "__macosx",  # macOS, in zips
    "@eadir",  # Synology: thumbnails
    "#recycle",
    "#snapshot",
    "@__thumb",  # QNAP
    "@recycle",
    "@recently-snapshot",
    "~snapshot",  # NetApp
    "$recycle.bin",  # Windows
    "system volume information",
    "lost+found",  # ext4
    "__pycache__",
}
"""Folders that systems leave beside one's own, in lower case."""
_SPLITS = {
    "train": "train|training|trn",
    "val": "val|valid|validation|dev|eval|evaluation",
    "test": "test|testing|tst|hold[-_ ]?out|held[-_ ]?out",
}
_AFTER_SPLIT = r"([-_ ]?(set|split|data|images|imgs|[ab]|[0-9]+))*"

_BORDER = r"[/\\]"


class ClassFolders(NamedTuple):
    """The classes that folders name."""

    names: tuple[str, ...]
    """In natural order."""
    labels: list[int]
    """For each image its index into names, -1 = unlabelled."""
    remarks: tuple[str, ...]
    """What a reader should know of these classes, one line each."""


def path_parts(name: str) -> Parts:
    r"""Folders and file name of a path; `\` separates too, as in zips from some Windows programs.

    Bytes that are not UTF-8 are escaped.
    """
    return tuple(readable(part) for part in re.split(_BORDER, name) if part not in ("", "."))


def is_no_data(part: str) -> bool:
    """Whether a file or folder of this name is hidden, or left by a system and never wanted."""
    return part.startswith(".") or part.casefold() in _NO_DATA


def class_folders(paths: Sequence[Parts], level: int, where: object) -> ClassFolders:
    """Classes of images at sorted `paths`, named by their folders at `level`; 0: no classes.

    Levels count from 1 below a single folder that holds everything else. Images all beside one
    another are unlabelled. where: the data set, for messages. Raises DatasetError where only some
    images lie in a folder of that level.
    """
    if level == 0:
        return ClassFolders((), [-1] * len(paths), ())
    wrapped = _common_depth(paths)
    at = wrapped + level - 1
    names = sorted({parts[at] for parts in paths if len(parts) > at + 1}, key=natural_order)
    loose = [parts for parts in paths if len(parts) <= at + 1]
    if loose and level > 1:
        raise DatasetError(
            f"dataset.class_level is {level}, but {where} holds {'/'.join(loose[0])}, at level "
            f"{len(loose[0]) - 1 - wrapped}"
            + (f" below {'/'.join(loose[0][:wrapped])}/" if wrapped else "")
            + ": lower class_level, or move the image"
        )
    if loose and names:
        raise DatasetError(
            f"dataset.path: {where} holds images beside sub-folders ({'/'.join(loose[0])} beside "
            f"{names[0]}/): move all images into sub-folders, or none, or set dataset.class_level "
            "to 0 for no classes"
        )
    index = {name: label for label, name in enumerate(names)}
    labels = [index.get(parts[at], -1) for parts in paths]
    deeper = all(len(parts) > at + 2 for parts in paths)
    return ClassFolders(tuple(names), labels, (*_splits(names, level, deeper), *_alike(names)))


def remarks_on_spelling(names: Sequence[str]) -> list[str]:
    """What was read otherwise than it is written among the paths `names`, one line each."""
    remarks = []
    foreign = {part for name in names for part in re.split(_BORDER, name) if not is_utf8(part)}
    if foreign:
        remarks.append(
            f"names of files or folders that are not UTF-8 ({len(foreign)}, such as "
            f"{readable(min(foreign))}): their bytes are shown escaped; rename them to see letters"
        )
    split = [name for name in names if "\\" in name]
    if split:
        remarks.append(
            f"names with a backslash ({len(split)}, such as {readable(min(split))}): it is read as "
            "the border between a folder and what lies in it"
        )
    return remarks


def _splits(names: Sequence[str], level: int, deeper: bool) -> list[str]:
    kinds: dict[str, str] = {}
    for name in names:
        for kind, words in _SPLITS.items():
            if re.fullmatch(f"({words}){_AFTER_SPLIT}", name.casefold()):
                kinds.setdefault(kind, name)
    if len(kinds) < 2:
        return []
    shown = " and ".join(kinds[kind] for kind in _SPLITS if kind in kinds)
    mend = f"{level + 1} to take the folders below them" if deeper else "0 for no classes"
    return [
        f"the folders {shown} are taken for classes but look like the "
        f"splits of a data set: set dataset.class_level to {mend} (images are held out by their "
        "content, whatever their folder)"
    ]


def _alike(names: Sequence[str]) -> list[str]:
    """Classes that a reader can hardly tell apart."""
    seen: dict[str, str] = {}
    remarks = []
    for name in names:
        first = seen.setdefault(unicodedata.normalize("NFKC", name).casefold().strip(), name)
        if first != name:
            remarks.append(
                f"the classes {first!r} and {name!r} differ in nothing but case, spaces or the "
                "encoding of accents: put them into one folder if they are one class"
            )
    return remarks


def _common_depth(paths: Sequence[Parts]) -> int:
    """How many leading folders all paths share."""
    first, last = min(paths), max(paths)  # what the extremes share, all share
    shallowest = min(len(path) for path in paths) - 1
    depth = 0
    while depth < shallowest and first[depth] == last[depth]:
        depth += 1
    return depth
