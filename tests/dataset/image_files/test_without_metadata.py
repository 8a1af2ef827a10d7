import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset.decode import decode
from dataset.image_files.without_metadata import without_metadata

PIXELS = np.arange(12 * 3, dtype=np.uint8).reshape(3, 4, 3)


def saved(kind, **options):
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def test_an_avif_with_foreign_exif():
    exif = Image.Exif()
    exif[271] = "maker"
    sound = saved("AVIF", exif=exif)
    data = sound.replace(b"MM\0*", b"what").replace(b"II*\0", b"what")
    assert data != sound
    assert np.array_equal(np.asarray(decode(data)), np.asarray(decode(sound)))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("tag", [270, 282])
def test_a_tiff_with_a_text_or_a_resolution_outside_of_the_file(tag, big_endian):
    order = ">" if big_endian else "<"
    entries = [(256, 3, 1, 4), (257, 3, 1, 3), (258, 3, 1, 8), (262, 3, 1, 1)]
    entries += [(270, 2, 90, 8), (273, 4, 1, 0), (277, 3, 1, 1), (278, 3, 1, 3), (279, 4, 1, 12)]
    entries += [(282, 5, 1, 8)]
    start = 8 + 2 + 12 * len(entries) + 4
    table = struct.pack(order + "H", len(entries))
    for number, kind, count, value in entries:
        value = 10**6 if number == tag else start if number == 273 else value
        body = struct.pack(
            order + ("HH" if kind == 3 else "I"), *[value, 0][: 2 if kind == 3 else 1]
        )
        table += struct.pack(order + "HHI", number, kind, count) + body
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8)
    data = head + table + bytes(4) + PIXELS[..., 0].tobytes()
    assert np.array_equal(np.asarray(decode(data)), PIXELS[..., 0])


def test_other_files_stay_as_they_are():
    for data in (saved("PNG"), saved("GIF"), b"", b"II*\0", b"II*\0\xff\xff\xff\x7f"):
        assert without_metadata(data) == data
