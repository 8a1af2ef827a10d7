from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset.decode import decode, image_suffixes
from dataset.errors import DamagedImage
from dataset.image_files.kinds import HEAD, image_kind, refuse_camera_raw, unread_suffixes

HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(40)
UNREAD = {
    "HEIC": HEIC,
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20),
    "camera raw": b"II*\0\x10\0\0\0CR\2\0" + bytes(20),
    "OpenEXR": b"\x76\x2f\x31\1" + bytes(20),
}


def encoded(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


KINDS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "DDS", "ICNS", "PPM"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_known_by_its_first_bytes(kind):
    assert image_kind(encoded(kind)[:HEAD]) == kind


@pytest.mark.parametrize("kind", UNREAD)
def test_an_image_that_pillow_cannot_read_is_named_with_the_way_out(kind):
    assert image_kind(UNREAD[kind]) == kind
    with pytest.raises(DamagedImage, match=f"{kind}, which Pillow cannot read: convert it to PNG"):
        decode(UNREAD[kind])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM is the name of a museum, and this is a text",
        b"P4 is a verse of the poem",
        b"#define width 9",
        b"GIF pictures are old",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"PK\3\4",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_texts_films_and_drawings_are_no_images(data):
    assert image_kind(data) is None


def test_a_camera_raw_file_is_not_read_as_its_thumbnail():
    assert image_kind(encoded("TIFF")) == "TIFF"
    for name in ("IMG_1.NEF", "a/b.dng"):
        with pytest.raises(DamagedImage, match="camera raw"):
            refuse_camera_raw(name)
    refuse_camera_raw("nef.tif")
    assert not unread_suffixes() & image_suffixes()
