import threading
import time

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.errors import DamagedImage
from dataset.read_ahead import read_ahead, square_pixels
from dataset.sources.record import Record


def record(value, delay=0.0, size=(8, 8)):
    def load():
        time.sleep(delay)
        return Image.new("L", size, value)

    return Record(f"image {value}", load, value)


def damaged():
    raise DamagedImage("torn")


def test_order_is_kept_however_long_each_takes():
    records = [record(value, delay=0.002 * (value % 3)) for value in range(40)]
    records[7] = Record("bad", damaged)
    results = list(read_ahead(records, DatasetConfig()))
    assert [r.name for r, _ in results] == [r.name for r in records]
    assert results[7][1] == "torn"
    assert all((square.pixels == r.label).all() for r, square in results if square != "torn")


def test_reads_only_a_few_ahead():
    taken = []

    def endless():
        for value in range(10_000):
            taken.append(value)
            yield record(value % 256)

    images = read_ahead(endless(), DatasetConfig())
    for _ in range(5):
        next(images)
    images.close()
    assert len(taken) <= 5 + 3 * 8
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def test_errors_of_ours_are_not_taken_for_damage():
    def broken():
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(read_ahead([Record("x", broken)], DatasetConfig()))


@pytest.mark.parametrize(("channels", "expected"), [("auto", 1), (1, 1), (3, 3)])
def test_channels_of_a_grey_image(channels, expected):
    pixels, undecided = square_pixels(record(90, size=(20, 12)), DatasetConfig(channels=channels))
    assert isinstance(pixels, np.ndarray) and not undecided
    assert pixels.shape == (8, 8, expected) and (pixels == 90).all()


def test_colour_becomes_grey_by_luma():
    colour = Record("c", lambda: Image.new("RGB", (9, 9), (255, 0, 0)))
    pixels = square_pixels(colour, DatasetConfig(channels=1)).pixels
    assert pixels.shape == (8, 8, 1) and (pixels == 76).all()  # 0.299 of 255 (ITU-R 601)
