"""Images as tiles of a sheet, and the names that stand before rows of tiles."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image

from evaluation.sheets.fonts import Font, default_font, fonts_for

TILE = 56
"""Small images are enlarged, by a whole factor without smoothing, to about this many pixels."""
LARGEST_TILE = 256
"""Larger images are averaged down by a whole factor, so that a sheet stays a few megabytes."""
GAP = 4
MARGIN = 8
ROW_FONT = 13
"""Height of the names of rows, in pixels."""
PAPER, INK, MUTED, RULE = (255, 255, 255), (40, 40, 48), (110, 110, 120), (208, 208, 214)


def as_tiles(
    images: np.ndarray, scale: int | None = None, largest: int = LARGEST_TILE
) -> np.ndarray:
    """uint8 [N, H, W, 1 or 3] -> RGB uint8 [N, h, w, 3], enlarged or averaged by a whole factor.

    scale: enlargement; default: to about TILE pixels, and down to at most `largest`.
    Raises ValueError for other arrays, and for no image.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"pictures need uint8 images [N, H, W, 1 or 3], got {images.dtype} {list(images.shape)}"
        )
    if len(images) == 0:
        raise ValueError("pictures need at least one image")
    tiles = np.broadcast_to(images, (*images.shape[:3], 3))
    side = max(images.shape[1:3])
    if scale is None and side > largest:
        factor = -(-side // largest)
        return np.stack([np.asarray(Image.fromarray(tile).reduce(factor)) for tile in tiles])
    scale = scale or max(1, round(TILE / side))
    return np.ascontiguousarray(np.repeat(np.repeat(tiles, scale, axis=1), scale, axis=2))


def row_names(
    labels: Sequence[int], label_names: Sequence[str] | None
) -> tuple[list[str], list[Font]]:
    """What stands before the row of each label, and the font that has its letters.

    A name of letters that no font on this machine has gives way to "class" and its number.
    """
    names = [_name(label, label_names) for label in labels]
    fonts = fonts_for(names, ROW_FONT)
    shown = [
        name if font else f"class {label}"
        for name, font, label in zip(names, fonts, labels, strict=True)
    ]
    return shown, [font or default_font(ROW_FONT) for font in fonts]


def _name(label: int, label_names: Sequence[str] | None) -> str:
    if label < 0:
        return ""
    name = label_names[label] if label_names and label < len(label_names) else str(label)
    name = unicodedata.normalize("NFC", name)
    return name if len(name) <= 18 else name[:17] + "…"
