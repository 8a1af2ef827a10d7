import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dataset.decode import decode
from dataset.errors import DamagedImage
from dataset.image_files.png_chunks import one_pixel_png, png_parts

PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3)


def chunk(kind, content, check=None):
    check = zlib.crc32(kind + content) if check is None else check
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(*remarks, image=None, after=False, **options):
    """A PNG file with further chunks before its picture, or after it."""
    buffer = BytesIO()
    (image or Image.fromarray(PIXELS)).save(buffer, "PNG", **options)
    data = buffer.getvalue()
    place = len(data) - 12 if after else 33  # before IEND, after IHDR
    return data[:place] + b"".join(remarks) + data[place:]


LONG = zlib.compress(bytes(2 * PngImagePlugin.MAX_TEXT_CHUNK))
FAULTS = {
    "long text": chunk(b"zTXt", b"comment\0\0" + LONG),
    "long international text": chunk(b"iTXt", b"comment\0\1\0\0\0" + LONG),
    "large colour profile": chunk(b"iCCP", b"profile\0\0" + LONG),
    "profile compressed otherwise": chunk(b"iCCP", b"profile\0\7abc"),
    "empty profile": chunk(b"iCCP", b""),
    "text compressed otherwise": chunk(b"zTXt", b"comment\0\7abc"),
    "unreadable EXIF": chunk(b"eXIf", b"nothing of the kind"),
    "EXIF that is no hex": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n   4\nzzzz\n"),
    "EXIF profile without lines": chunk(b"tEXt", b"Raw profile type exif\0zz"),
    "short gamma": chunk(b"gAMA", b"1"),
    "short size of a pixel": chunk(b"pHYs", b"1"),
    "animation out of order": chunk(b"acTL", bytes(8)) + chunk(b"fcTL", b"\0\0\0\7" + bytes(22)),
    "wrong checksum of a text": chunk(b"tEXt", b"comment\0hello", check=7),
    "wrong checksum of EXIF": chunk(b"eXIf", b"MM\0*", check=7),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_metadata_is_none_of_the_picture(fault, after):
    assert np.array_equal(np.asarray(decode(png(FAULTS[fault], after=after))), PIXELS)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_does_not_hide_which_way_up_the_picture_is(fault):
    turned = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, 6, 0, 0)
    image = decode(png(FAULTS[fault], chunk(b"eXIf", turned)))
    assert np.array_equal(np.asarray(image), np.rot90(PIXELS, -1))


def test_transparency_and_palette_belong_to_the_picture():
    image = Image.fromarray(PIXELS).convert("P")
    decoded = decode(png(image=image, transparency=3))
    assert decoded.mode == "P" and decoded.info["transparency"] == 3
    assert decoded.getpalette() == image.getpalette()
    data = bytearray(png(image=image, transparency=3))
    data[data.index(b"tRNS") + 4] ^= 1
    with pytest.raises(DamagedImage, match="chunk tRNS does not match its checksum"):
        decode(bytes(data))


def test_parts_of_a_file():
    text = (b"tEXt", b"comment\0hello")
    picture, remarks = png_parts(png(chunk(*text), chunk(b"gAMA", b"x", check=1)) + b"more")
    assert remarks == [text] and picture == png()
    assert png_parts(one_pixel_png(*text)).remarks == [text]
    for cut in (9, 40, 57):
        with pytest.raises(DamagedImage, match="cut off"):
            png_parts(png()[:cut])
