"""A sheet of images with named rows and columns: along a trajectory, between two, over lengths."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from evaluation.sheets.fonts import Font, default_font, fonts_for
from evaluation.sheets.tiles import GAP, INK, MARGIN, PAPER, RULE, as_tiles

LARGEST = 128
"""Larger images are averaged down by a whole factor, since a sheet has many columns."""
NAME, TITLE = 12, 13
"""Heights of letters, in pixels."""
FAINT = (112, 112, 122)
_LINE = NAME + 4
_APART = 10


def labelled_sheet(
    images: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    groups: Sequence[str] = (),
) -> Image.Image:
    """A table of images: the title above the names of columns, names of rows at the left.

    Args:
        images: uint8 [R, K, H, W, C], C 1 or 3.
        rows: R names.
        columns: K names.
        title: what the columns are, such as "EMA length".
        groups: names of groups of equally many neighbouring rows, such as all of one seed; a name
            may have lines. A rule parts the groups. None: the rows stand alone.

    Raises ValueError where names and images do not fit.
    """
    if images.shape[:2] != (len(rows), len(columns)) or (groups and len(rows) % len(groups)):
        raise ValueError(
            f"images {list(images.shape)} for {len(rows)} rows in {len(groups)} groups and "
            f"{len(columns)} columns"
        )
    tiles = _tiles(images)
    high, wide = tiles.shape[2], tiles.shape[3]
    font = default_font(NAME)
    step = max(wide, max(int(_width(font, name)) + 4 for name in columns)) + GAP
    per_group = len(rows) // len(groups) if groups else 1
    names_left = MARGIN + max((_text_width(name) for name in groups), default=0)
    left = names_left + _APART * bool(groups) + max(_text_width(name) for name in rows) + 8
    head = MARGIN + TITLE + 10 + _LINE
    tops = [
        head + r * (high + GAP) + _APART * (r // per_group) * bool(groups) for r in range(len(rows))
    ]
    width = (
        left + max(len(columns) * step - GAP, int(_width(default_font(TITLE), title)) + 4) + MARGIN
    )
    sheet = Image.new("RGB", (width, tops[-1] + high + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    middle = left + (len(columns) * step - GAP) // 2
    middle = max(middle, left + int(_width(default_font(TITLE), title)) // 2)
    _write(draw, (middle, MARGIN), title, "ma", INK, TITLE)
    for column, name in enumerate(columns):
        centre = left + column * step + (step - GAP) // 2
        _write(draw, (centre, head - 4), name, "md", FAINT)
        for row, top in enumerate(tops):
            picture = Image.fromarray(tiles[row, column])
            sheet.paste(picture, (centre - wide // 2, top))
    for row, (name, top) in enumerate(zip(rows, tops, strict=True)):
        _write(draw, (left - 8, top + high // 2), name, "rm", FAINT)
        if groups and row % per_group == 0:
            if row:
                draw.line([(MARGIN, top - 7), (width - MARGIN, top - 7)], fill=RULE)
            centre = top + (per_group * (high + GAP) - GAP) // 2
            lines = groups[row // per_group].split("\n")
            first = centre - (len(lines) - 1) * _LINE // 2
            for number, line in enumerate(lines):
                _write(draw, (MARGIN, first + number * _LINE), line, "lm", INK)
    return sheet


def _tiles(images: np.ndarray) -> np.ndarray:
    """uint8 [R, K, H, W, C] -> enlarged or averaged down, RGB uint8 [R, K, h, w, 3]."""
    flat = images.reshape(-1, *images.shape[2:])
    side = max(images.shape[2:4])
    if side > LARGEST:
        small = [
            np.asarray(Image.fromarray(one).reduce(-(-side // LARGEST)))
            for one in as_tiles(flat, 1)
        ]
        return np.stack(small).reshape(*images.shape[:2], *small[0].shape)
    tiles = as_tiles(flat, None)
    return tiles.reshape(*images.shape[:2], *tiles.shape[1:])


def _font(text: str, size: int = NAME) -> Font:
    return fonts_for([text], size)[0] or default_font(size)


def _width(font: Font, text: str) -> float:
    return font.getlength(text)


def _text_width(name: str) -> int:
    return max(int(_width(_font(line), line)) for line in name.split("\n")) + 1


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    anchor: str,
    colour: tuple[int, int, int],
    size: int = NAME,
) -> None:
    draw.text(place, text, fill=colour, font=_font(text, size), anchor=anchor)
