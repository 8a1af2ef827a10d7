from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset.decode import decode

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 6)[:, ::2] * 20
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
BROKEN = {
    "foreign": b"\xff\xe1no EXIF at all",
    "cut off": b"Exif\0\0MM\0*\0\0\0\x08\0\x05",
    "empty": b"",
    "orientation 0": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0\0",
    "orientation of letters": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\2a\0\0\0\0\0\0\0",
}


def saved(kind, **options):
    buffer = BytesIO()
    options |= {"lossless": True} if kind == "WEBP" else {"quality": 100}
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["WEBP", "JPEG"])
@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_read_says_nothing(broken, kind):
    image = decode(saved(kind, exif=BROKEN[broken]))
    np.testing.assert_allclose(np.asarray(image.convert("L")), PIXELS, atol=2)


@pytest.mark.parametrize("kind", ["WEBP", "JPEG"])
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_exif_does_not_hide_xmp(broken, kind):
    image = decode(saved(kind, exif=BROKEN[broken], xmp=XMP))
    np.testing.assert_allclose(np.asarray(image.convert("L")), np.rot90(PIXELS, -1), atol=2)


def test_exif_goes_before_xmp():
    exif = Image.Exif()
    exif[274] = 3
    image = decode(saved("WEBP", exif=exif, xmp=XMP))
    assert np.array_equal(np.asarray(image.convert("L")), PIXELS[::-1, ::-1])
