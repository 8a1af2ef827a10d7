"""The sheet of a data set: some images of each class with its name and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from evaluation.sheets.fonts import default_font
from evaluation.sheets.tiles import (
    GAP,
    INK,
    MARGIN,
    MUTED,
    PAPER,
    ROW_FONT,
    as_tiles,
    row_names,
)

COLUMNS = 12
"""Images side by side."""
MOST_CLASSES = 30
"""Of more classes, as many are shown, from the first to the last at equal steps."""
FEWEST_LINES = 6
"""With fewer classes than this each takes several lines, so that a sheet shows some variety."""
LARGEST = 96
"""Larger images are averaged down to at most this many pixels."""


@dataclass(frozen=True)
class _Row:
    name: str
    members: np.ndarray
    """Image numbers, int64."""


def shown_classes(count: int) -> list[int]:
    """The labels that a sheet shows of `count` classes, ascending: all, or MOST_CLASSES of them."""
    steps = np.linspace(0, count - 1, min(count, MOST_CLASSES))
    return [int(label) for label in steps.round()]


def data_set_sheet(
    images: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> Image.Image:
    """Some images of each class, taken at equal steps through it: equal data give one sheet.

    Images without a class come last, under "no class"; if none has a class, they stand alone.

    Args:
        images: uint8 [N, H, W, C], C 1 or 3; may be a memory map, of which only the shown are read.
        labels: int64 [N], -1 = no class.
        label_names: of the classes.
    """
    classes = shown_classes(len(label_names)) if len(label_names) else []
    names, fonts = row_names(classes, label_names)
    rows = [_Row(name, np.flatnonzero(labels == c)) for name, c in zip(names, classes, strict=True)]
    unlabelled = np.flatnonzero(labels < 0)
    if len(unlabelled):
        rows.append(_Row("no class", unlabelled))
        fonts.append(default_font(ROW_FONT))
    lines = max(1, FEWEST_LINES // len(rows))
    shown = [_spread(row.members, lines * COLUMNS) for row in rows]
    counts = [_images(len(row.members)) for row in rows]
    small = default_font(ROW_FONT - 1)
    widths = [font.getlength(row.name) for row, font in zip(rows, fonts, strict=True)]
    left = MARGIN + int(max([*widths, *map(small.getlength, counts)])) + 10
    taken = sorted({int(i) for members in shown for i in members})
    tiles = dict(zip(taken, as_tiles(images[np.array(taken)], largest=LARGEST), strict=True))
    tile_height, tile_width = next(iter(tiles.values())).shape[:2]
    step = max(tile_height, 2 * ROW_FONT + 6) + GAP  # the name and the count need two lines
    heights = [step * max(1, -(-len(members) // COLUMNS)) + GAP for members in shown]
    across = min(COLUMNS, max(map(len, shown)))
    size = left + across * (tile_width + GAP) - GAP + MARGIN, 2 * MARGIN + sum(heights) - 2 * GAP
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, font, count, members, height in zip(rows, fonts, counts, shown, heights, strict=True):
        draw.text((left - 10, top + ROW_FONT), row.name, fill=INK, font=font, anchor="rs")
        draw.text((left - 10, top + 2 * ROW_FONT + 3), count, fill=MUTED, font=small, anchor="rs")
        for place, i in enumerate(members):
            line, column = divmod(place, COLUMNS)
            corner = left + column * (tile_width + GAP), top + line * step
            sheet.paste(Image.fromarray(tiles[int(i)]), corner)
        top += height
    return sheet


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _spread(members: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the members, at equal steps from the first to the last."""
    if len(members) <= count:
        return members
    return members[np.linspace(0, len(members) - 1, count).round().astype(int)]
