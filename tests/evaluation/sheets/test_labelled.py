"""Each image stands in its row and column, with names that are drawn."""

import numpy as np
import pytest

from evaluation.sheets.labelled import LARGEST, labelled_sheet


def grey(values, side=8):
    """uint8 [R, K, side, side, 1] of even grey."""
    values = np.asarray(values, np.uint8)
    return np.broadcast_to(values[:, :, None, None, None], (*values.shape, side, side, 1))


def places(sheet, value):
    """(left, top, width, height) of all pixels of one grey."""
    rows, columns = np.nonzero((np.asarray(sheet) == value).all(axis=2))
    return columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1


def test_rows_and_columns():
    values = [[10, 20, 30], [50, 60, 70]]
    sheet = labelled_sheet(grey(values), ["first", "second"], ["a", "b", "c"], "title")
    left = {value: places(sheet, value)[0] for row in values for value in row}
    top = {value: places(sheet, value)[1] for row in values for value in row}
    assert left[10] == left[50] < left[20] == left[60] < left[30] == left[70]
    assert top[10] == top[20] == top[30] < top[50] == top[60] == top[70]
    assert places(sheet, 10)[2:] == (56, 56)
    pixels = np.asarray(sheet).min(axis=2)
    assert pixels[: top[10]].min() < 120  # names of columns
    assert pixels[top[10] : top[10] + 56, : left[10]].min() < 160  # names of rows
    assert sheet.width < left[30] + 56 + 20


def test_groups_stand_apart_and_are_named_once():
    values = [[10, 20], [30, 40], [50, 60], [70, 80]]
    rows, columns = ["noisy", "denoised"] * 2, ["1", "0"]
    plain = labelled_sheet(grey(values), rows, columns, "t")
    grouped = labelled_sheet(grey(values), rows, columns, "t", ["seed 0\ncat", "seed 1\ndog"])
    gap = [places(grouped, b)[1] - places(grouped, a)[1] for a, b in ((10, 30), (30, 50))]
    assert gap[1] > gap[0] == places(plain, 30)[1] - places(plain, 10)[1]
    assert grouped.width > plain.width


def test_long_names_make_room_and_large_images_are_averaged_down():
    names = ["0.00001234567", "1"]
    wide = labelled_sheet(grey([[10, 20]]), ["r"], names, "t")
    narrow = labelled_sheet(grey([[10, 20]]), ["r"], ["1", "1"], "t")
    assert wide.width > narrow.width and places(wide, 20)[2] == 56
    large = labelled_sheet(grey([[10, 20]], 3 * LARGEST), ["r"], ["1", "1"], "t")
    assert places(large, 20)[2:] == (LARGEST, LARGEST)


def test_names_that_do_not_fit_are_refused():
    for rows, columns, groups in (("a", "ab", ()), ("ab", "a", ()), ("ab", "ab", "xyz")):
        with pytest.raises(ValueError, match=r"images \[2, 2, 8, 8, 1\] for"):
            labelled_sheet(grey([[1, 2], [3, 4]]), list(rows), list(columns), "t", list(groups))
