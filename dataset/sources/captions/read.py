"""Reads the captions of a folder of images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from dataset.errors import DatasetError
from dataset.sources.captions.config import BesideImages, CaptionSource, InTable
from dataset.sources.captions.table_file import captions_in_table
from dataset.sources.regular_file import open_regular

Opener = Callable[[], IO[bytes]]
MOST_BYTES = 1 << 28
"""Of a table, larger ones are refused; of a text file beside an image the first letters count."""
MOST_LETTERS = 2000


def read_captions(
    config: CaptionSource,
    images: Sequence[str],
    files: Mapping[str, Opener],
    roots: Sequence[Path],
    where: object,
) -> tuple[list[str], set[str]]:
    """The caption of each image, "" where it has none, and the files that they are in.

    images, files: names in the folder with `/`; files are all that are no images. roots: folders
    in which a table that is not among them is looked for. where: the folder, for messages. Raises
    a one-line DatasetError where no image has a caption.
    """
    if isinstance(config, InTable):
        data = _table(config, files, roots)
        return [_clean(c) for c in captions_in_table(config, data, images)], {config.file}
    assert isinstance(config, BesideImages)
    captions, used = [], set()
    for image in images:
        name = str(PurePosixPath(image).with_suffix(".txt"))
        found = files.get(name) or files.get(image + ".txt")
        if found is not None:
            used |= {name if name in files else image + ".txt"}
        captions.append("" if found is None else _clean(_first_line(name, found)))
    if not any(captions):
        many = f"{len(used)} .txt files, all empty" if used else "no .txt file beside an image"
        raise DatasetError(
            f"dataset.captions: {where} has {many}: put the caption of {images[0]} into "
            f"{PurePosixPath(images[0]).with_suffix('.txt')}, or set dataset.captions to null"
        )
    return captions, used


def _first_line(name: str, opener: Opener) -> str:
    try:
        with opener() as file:
            text = file.read(4 * MOST_LETTERS).decode("utf-8-sig", "replace")
    except Exception as error:  # a damaged or encrypted zip member may raise anything
        raise DatasetError(
            f"dataset.captions: {name} cannot be read ({str(error)[:120]}): mend or remove it"
        ) from None
    return next((line for line in text.splitlines() if line.strip()), "")


def _table(config: InTable, files: Mapping[str, Opener], roots: Sequence[Path]) -> bytes:
    try:
        data = _beginning(config.file, files, roots)
    except Exception as error:  # a damaged zip member may raise anything
        raise DatasetError(
            f"dataset.captions.file: {config.file} cannot be read ({str(error)[:120]}): mend it"
        ) from None
    if data is None:
        raise DatasetError(
            f"dataset.captions.file: {config.file} lies neither among the images nor in "
            f"{', '.join(str(root.absolute()) for root in roots)}: correct the path"
        )
    if len(data) > MOST_BYTES:
        raise DatasetError(
            f"dataset.captions.file: {config.file} is larger than {MOST_BYTES:,} bytes, the most "
            "that is read: leave out the columns and rows that these images do not need"
        )
    return data


def _beginning(name: str, files: Mapping[str, Opener], roots: Sequence[Path]) -> bytes | None:
    """A table's first MOST_BYTES and one more, which tells a longer one; None: there is none."""
    opener = files.get(name)
    if opener is not None:
        with opener() as file:
            return file.read(MOST_BYTES + 1)
    for root in roots:
        path = root / Path(name).expanduser()
        if path.exists():
            with open_regular(path) as file:
                return file.read(MOST_BYTES + 1)
    return None


def _clean(caption: str) -> str:
    """On one line, with single blanks."""
    return " ".join(caption.split())[:MOST_LETTERS]
