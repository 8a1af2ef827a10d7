"""A font that has the letters of a name: Pillow's for ASCII, else the first on this machine."""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont
_ELLIPSIS = "…"  # which Pillow's font has
_SLANTED_OR_HEAVY = ("bold", "italic", "oblique", "light", "thin", "black", "condensed", "serif-")
_LAST_RESORT = ("lastresort", "adobeblank")
"""Fonts that have a box, or nothing, for each character there is."""


def default_font(size: int) -> Font:
    """Pillow's own font, which has ASCII and little else."""
    font = ImageFont.load_default(size)
    assert isinstance(font, Font)
    return font


def fonts_for(names: Sequence[str], size: int) -> list[Font | None]:
    """For each name a font of `size` pixels with all its letters; None if no font has them.

    matplotlib's own DejaVu Sans is tried first, then the fonts that this machine has installed.
    """
    found: list[Font | None] = [
        default_font(size) if name.replace(_ELLIPSIS, "").isascii() else None for name in names
    ]
    missing = [number for number, font in enumerate(found) if font is None]
    for path in _paths() if missing else ():
        for number in [n for n in missing if has_letters(path, names[n])]:
            font = _opened(path, size, names[number])
            if font is not None:
                found[number] = font
                missing.remove(number)
        if not missing:
            break
    return found


def has_letters(path: str, name: str) -> bool:
    """Whether the font file at `path` has a glyph for each character; False if it is no font."""
    return {ord(c) for c in name if not c.isspace()} <= _letters_of(path)


def matplotlib_font() -> str:
    """The font file that matplotlib brings along and draws with."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@lru_cache(maxsize=16)
def _letters_of(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except Exception:  # a file of another kind, a damaged one: FreeType raises many kinds
        return frozenset()


def _opened(path: str, size: int, name: str) -> Font | None:
    """The font, if Pillow draws all letters with it: not so emoji of fixed sizes or of layers."""
    try:
        font = ImageFont.truetype(path, size)
        drawn = [font.getmask(c).getbbox() for c in name if not _is_mark(c)]
    except Exception:  # as above
        return None
    return font if all(drawn) else None


def _is_mark(character: str) -> bool:
    """Whether a character may be invisible by itself: spaces, accents, joiners."""
    return unicodedata.category(character)[0] in "ZMC"


def _paths() -> Iterator[str]:
    yield matplotlib_font()
    from matplotlib.font_manager import findSystemFonts

    yield from sorted(
        (p for p in findSystemFonts() if not any(w in p.lower() for w in _LAST_RESORT)),
        key=lambda p: (any(word in Path(p).name.lower() for word in _SLANTED_OR_HEAVY), p),
    )
