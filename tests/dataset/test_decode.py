import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset import decode as decode_module
from dataset.decode import decode, image_suffixes, reason
from dataset.errors import DamagedImage


def encoded(image, kind, **options):
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def noise():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA", "WEBP", "QOI"])
def test_lossless_formats_decode_exactly(noise, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode(encoded(noise, kind, **options))
    assert (np.asarray(image.convert("RGB")) == np.asarray(noise)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
@pytest.mark.parametrize("part", [0.4, 0.9])
def test_truncation_is_found_in_every_format(noise, kind, part):
    data = encoded(noise, kind)
    decode(data)
    with pytest.raises(DamagedImage):
        decode(data[: int(len(data) * part)])


def test_a_flipped_bit_in_a_png_is_found(noise):
    data = bytearray(encoded(noise, "PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(DamagedImage):
        decode(bytes(data))


def test_png_without_its_end_is_truncated(noise):
    with pytest.raises(DamagedImage):
        decode(encoded(noise, "PNG")[:-12])


@pytest.mark.parametrize("side", [9_500, 60_000])  # just above the limit, far above Pillow's
def test_decompression_bomb_is_refused_by_its_header(side, recwarn):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(DamagedImage, match="pixels"):
        decode(bomb)


def test_oversized_empty_and_foreign_files_are_named(monkeypatch):
    for data, message in [(b"", "empty"), (b"hello", "not an image")]:
        with pytest.raises(DamagedImage, match=message):
            decode(data)
    monkeypatch.setattr(decode_module, "MAX_BYTES", 10)
    with pytest.raises(DamagedImage, match="larger than"):
        decode(bytes(11))


def test_postscript_is_never_run():
    with pytest.raises(DamagedImage, match="not an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    assert ".eps" not in image_suffixes() and {".png", ".jpg", ".tiff"} <= image_suffixes()


# What a viewer must do to show each EXIF orientation upright (TIFF 6.0, tag 274).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exif_rotation(orientation, dtype):
    stored = np.arange(6, dtype=dtype).reshape(2, 3) * (40 if dtype == np.uint8 else 10_000)
    exif = Image.Exif()
    exif[274] = orientation
    image = decode(encoded(Image.fromarray(stored), "PNG", exif=exif))
    assert (np.asarray(image) == UPRIGHT[orientation](stored)).all()


def test_first_frame_of_an_animation(noise):
    frames = [noise.convert("L").point(lambda v, s=s: (v + s) % 256) for s in (0, 100)]
    image = decode(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    assert (np.asarray(image) == np.asarray(frames[0])).all()


def test_reasons_are_one_line_and_repeatable():
    assert reason(ValueError("bad <object at 0x7f00aa>\nmore")) == "bad <object>"
    assert reason(KeyError()) == "KeyError"
    assert reason(PermissionError(13, "Permission denied")) == "Permission denied"
