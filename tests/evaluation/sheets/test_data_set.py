"""The sheet of a data set shows the right images beside the right names and counts."""

from itertools import pairwise

import numpy as np
import pytest

from evaluation.sheets import data_set
from evaluation.sheets.data_set import MOST_CLASSES, data_set_sheet, shown_classes


def painted(labels, side, channels=3):
    """Images in one shade a class, from which a sheet's rows can be read."""
    shades = (np.asarray(labels) % 5 + 1) * 40
    return np.broadcast_to(shades[:, None, None, None], (len(labels), side, side, channels)).astype(
        np.uint8
    )


def shades_of_rows(sheet):
    """The shades of tiles met from top to bottom at the right end of the first column."""
    pixels = np.asarray(sheet.convert("L"))
    dark = (pixels < 215).mean(axis=0) > 0.5
    column = pixels[:, int(dark.argmax())]
    found = [value for value in column.tolist() if value in (40, 80, 120, 160, 200)]
    return [value for i, value in enumerate(found) if i == 0 or value != found[i - 1]]


@pytest.mark.parametrize("side", [8, 16, 20, 28, 32, 40, 64, 256])
def test_rows_are_the_classes_in_order_and_readable(side, monkeypatch):
    labels = np.array([1, 0, 2, 0, 1, 2, -1] * 9)
    written = []
    draw = data_set.ImageDraw.Draw

    class Recorder:
        def __init__(self, sheet):
            self.real = draw(sheet)

        def text(self, place, text, **options):
            written.append((text, place))
            self.real.text(place, text, **options)

    monkeypatch.setattr(data_set.ImageDraw, "Draw", Recorder)
    sheet = data_set_sheet(painted(labels, side), labels, ["cat", "<b> & dog", "naïve"])
    assert shades_of_rows(sheet) == [40, 80, 120, 200]  # the shade of -1 is 200
    texts = [text for text, _ in written]
    assert texts == [
        *("cat", "18 images", "<b> & dog", "18 images", "naïve", "18 images"),
        *("no class", "9 images"),
    ]
    heights = [place[1] for _, place in written]
    assert all(later - earlier >= 13 for earlier, later in pairwise(heights))
    assert 100 < sheet.width < 1400 and sheet.height < 1200


def test_unlabelled_data_and_a_single_image():
    sheet = data_set_sheet(painted([-1] * 100, 8, 1), np.full(100, -1), [])
    assert sheet.width > sheet.height and shades_of_rows(sheet) == [200]
    assert data_set_sheet(painted([0], 16), np.zeros(1, int), ["a"]).width < 200


def test_of_many_classes_a_sample_is_shown():
    chosen = shown_classes(1000)
    assert len(chosen) == MOST_CLASSES and (chosen[0], chosen[-1]) == (0, 999)
    assert shown_classes(1) == [0] and shown_classes(MOST_CLASSES) == list(range(MOST_CLASSES))
    labels = np.arange(5000) % 1000
    sheet = data_set_sheet(painted(labels, 8), labels, [f"class of name {i}" for i in range(1000)])
    assert sheet.height < 2200
    assert shades_of_rows(sheet)[:2] == [40 * (c % 5 + 1) for c in chosen[:2]]


def test_images_are_taken_from_all_parts_of_a_class():
    images = np.zeros((1000, 8, 8, 1), np.uint8)
    images[900:] = 120  # the last tenth
    pixels = np.asarray(data_set_sheet(images, np.zeros(1000, int), ["a"]).convert("L"))
    assert 0.05 < (pixels == 120).sum() / ((pixels == 0) | (pixels == 120)).sum() < 0.2
