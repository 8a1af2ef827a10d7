"""Names of classes in letters that few fonts have."""

import matplotlib.font_manager
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from evaluation.pictures import sample_grid
from evaluation.sheets.fonts import fonts_for, has_letters, matplotlib_font


def make_font(path, letters, blank=False):
    """A font that has these letters, each a filled square, or nothing where they are blank."""
    glyphs = {".notdef": "", **{f"g{ord(letter):x}": letter for letter in letters}}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord(letter): name for name, letter in glyphs.items() if letter})
    drawn = {}
    for name in glyphs:
        pen = TTGlyphPen(None)
        if not blank:
            pen.moveTo((100, 0))
            for point in ((100, 700), (800, 700), (800, 0)):
                pen.lineTo(point)
            pen.closePath()
        drawn[name] = pen.glyph()
    builder.setupGlyf(drawn)
    builder.setupHorizontalMetrics({name: (900, 100) for name in glyphs})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def installed(monkeypatch):
    """Fonts of the machine; the test fills the list."""
    paths = []
    monkeypatch.setattr(matplotlib.font_manager, "findSystemFonts", lambda: paths)
    return paths


def path_of(font):
    if font is None:
        return None
    return font.path if isinstance(font.path, str) else "Pillow's"


def test_each_name_gets_a_font_that_has_its_letters(installed, tmp_path):
    (tmp_path / "broken.ttf").write_text("no font")
    cats = make_font(tmp_path / "Cats.ttf", "猫犬")
    installed += [
        str(tmp_path / "broken.ttf"),
        make_font(tmp_path / "LastResort.ttf", "猫犬🦊"),
        make_font(tmp_path / "Blank.ttf", "猫犬🦊", blank=True),
        make_font(tmp_path / "Cats-Bold.ttf", "猫犬"),
        cats,
    ]
    own = matplotlib_font()
    names = ["cat", "café", "кошка", "猫", "猫 犬", "猫🦊", "", "a long name of 18…"]
    paths = [path_of(font) for font in fonts_for(names, 13)]
    assert paths == ["Pillow's", own, own, cats, cats, None, "Pillow's", "Pillow's"]
    assert has_letters(cats, "犬 猫") and not has_letters(cats, "a") and not has_letters("no", "a")


def rows(names, scale=4):
    """The sheet's column of names: for each row its ink."""
    images = np.full((8, 8, 8, 1), 200, np.uint8)
    labels = np.arange(8) % len(names)
    sheet = np.asarray(sample_grid(images, scale=scale, labels=labels, label_names=names))
    tiles = 4 * 8 * scale + 3 * 4 + 8
    return [sheet[8 + 36 * row : 8 + 36 * row + 32, : sheet.shape[1] - tiles] for row in (0, 1)]


def test_a_row_that_no_font_can_name_is_numbered(installed):
    numbered = rows(["class 0", "dog"])
    for name in ("猫", "🦊", "ネコ 🦊", "a猫"):
        for shown, expected in zip(rows([name, "dog"]), numbered, strict=True):
            np.testing.assert_array_equal(shown, expected)
    assert not np.array_equal(rows(["class 0", "class 1"])[0], rows(["class 1", "class 0"])[0])


def test_a_row_is_named_where_a_font_has_the_letters(installed, tmp_path):
    installed.append(make_font(tmp_path / "Cats.ttf", "猫"))
    first = rows(["猫猫", "dog"])[0]
    assert (first < 60).any() and first.shape[1] != rows(["class 0", "dog"])[0].shape[1]
    accents = [rows([name, "dog"])[0] for name in ("caf\u00e9", "cafe\u0301", "cafe")]
    np.testing.assert_array_equal(accents[0], accents[1])  # one character or two
    assert not np.array_equal(accents[0][:, -40:], accents[2][:, -40:])
