from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset import flatten as flatten_module
from dataset.decode import decode
from dataset.errors import DamagedImage
from dataset.flatten import flatten


def row(*pixels, mode):
    image = Image.new(mode, (len(pixels), 1))
    for x, pixel in enumerate(pixels):
        image.putpixel((x, 0), pixel)
    return image


def values(image):
    return np.asarray(image)[0].tolist()


def saved(image, **options):
    buffer = BytesIO()
    image.save(buffer, "PNG", **options)
    return decode(buffer.getvalue())


def test_plain_grey_and_colour_are_kept():
    grey, colour = row(3, 200, mode="L"), row((1, 2, 3), mode="RGB")
    assert flatten(grey, "red").mode == "L" and values(flatten(grey, "red")) == [3, 200]
    assert values(flatten(colour, "red")) == [[1, 2, 3]]


def test_bilevel_is_black_and_white():
    assert values(flatten(row(0, 1, mode="1"), "white")) == [0, 255]


@pytest.mark.parametrize(("background", "behind"), [("white", 255), ("black", 0), ("#646464", 100)])
def test_transparent_grey_stays_grey_over_a_grey_background(background, behind):
    image = row((40, 255), (40, 0), (40, 128), mode="LA")
    flat = flatten(image, background)
    assert flat.mode == "L"
    assert values(flat)[:2] == [40, behind]
    assert values(flat)[2] == pytest.approx((40 * 128 + behind * 127) / 255, abs=1)


def test_transparent_grey_over_a_coloured_background_is_colour():
    flat = flatten(row((40, 255), (40, 0), mode="LA"), "#ff8000")
    assert values(flat) == [[40, 40, 40], [255, 128, 0]]


def test_rgba_is_composed():
    flat = flatten(row((10, 20, 30, 255), (10, 20, 30, 0), (200, 100, 0, 51), mode="RGBA"), "white")
    assert values(flat)[:2] == [[10, 20, 30], [255, 255, 255]]
    # 51 / 255 = 0.2 of the pixel, 0.8 of white
    np.testing.assert_allclose(values(flat)[2], [244, 224, 204], atol=1)


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_premultiplied_alpha(mode):
    straight = Image.new("RGBA" if mode == "RGBa" else "LA", (1, 1))
    straight.putpixel((0, 0), (200, 100, 0, 51) if mode == "RGBa" else (200, 51))
    flat = flatten(straight.convert(mode), "black")
    expected = [40, 20, 0] if mode == "RGBa" else 40  # a fifth
    np.testing.assert_allclose(values(flat)[0], expected, atol=2)


def palette_image(colours, pixels):
    image = Image.new("P", (len(pixels), 1))
    image.putpalette([channel for colour in colours for channel in colour])
    image.putdata(pixels)
    return image


def test_palettes():
    colour = palette_image([(9, 8, 7), (200, 0, 50)], [1, 0])
    assert values(flatten(colour, "white")) == [[200, 0, 50], [9, 8, 7]]
    grey = palette_image([(9, 9, 9), (200, 200, 200)], [1, 0])
    assert flatten(grey, "white").mode == "L" and values(flatten(grey, "white")) == [200, 9]


RED_AND_GREYS = [(255, 0, 0), (9, 9, 9), (200, 200, 200)]


def test_a_colour_that_no_pixel_shows_makes_no_colour_image():
    assert values(flatten(palette_image(RED_AND_GREYS, [2, 1]), "white")) == [200, 9]
    assert flatten(palette_image(RED_AND_GREYS, [2, 0]), "white").mode == "RGB"
    with_alpha = palette_image(RED_AND_GREYS, [2, 1]).convert("PA")
    assert values(flatten(with_alpha, "white")) == [200, 9]


def test_a_colour_behind_a_transparent_pixel_is_not_shown():
    image = palette_image(RED_AND_GREYS, [0, 1, 2])
    for transparency in (0, bytes([0, 255, 255])):
        assert values(flatten(saved(image, transparency=transparency), "white")) == [255, 9, 200]
    assert flatten(saved(image, transparency=bytes([1])), "white").mode == "RGB"
    assert flatten(saved(image, transparency=1), "white").mode == "RGB"
    with_alpha = image.convert("PA")
    with_alpha.putalpha(row(0, 255, 255, mode="L"))
    assert values(flatten(with_alpha, "white")) == [255, 9, 200]
    in_palette = image.copy()
    in_palette.putpalette([255, 0, 0, 0, 9, 9, 9, 255, 200, 200, 200, 255], "RGBA")
    assert values(flatten(in_palette, "white")) == [255, 9, 200]
    assert values(flatten(in_palette, "#ff8000"))[:2] == [[255, 128, 0], [9, 9, 9]]


def test_an_alpha_channel_without_a_hole_makes_no_colour_image():
    for image in (
        row((40, 255), (90, 255), mode="LA"),
        saved(row(40, 90, mode="L"), transparency=7),
    ):
        assert image.has_transparency_data and values(flatten(image, "#ff8000")) == [40, 90]


def test_strips_give_what_the_whole_gives(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 4), dtype=np.uint8)
    for image in (
        Image.fromarray(pixels),
        Image.fromarray(pixels[..., :2], "LA"),
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257),
        Image.fromarray(pixels[..., :3]).quantize(20),
    ):
        whole = flatten(image, "#123456")
        with monkeypatch.context() as small:
            small.setattr(flatten_module, "_STRIP", 10)
            assert np.array_equal(np.asarray(flatten(image, "#123456")), np.asarray(whole))


def test_palette_with_transparency_as_index_and_as_table():
    image = palette_image([(9, 8, 7), (200, 0, 50)], [0, 1])
    assert values(flatten(saved(image, transparency=0), "#010203")) == [[1, 2, 3], [200, 0, 50]]
    flat = flatten(saved(image, transparency=bytes([255, 51])), "black")
    np.testing.assert_allclose(values(flat), [[9, 8, 7], [40, 0, 10]], atol=1)
    in_palette = image.copy()
    in_palette.putpalette([9, 8, 7, 0, 200, 0, 50, 255], "RGBA")
    assert values(flatten(in_palette, "white")) == [[255, 255, 255], [200, 0, 50]]


def test_palette_with_alpha_channel():
    image = palette_image([(9, 8, 7), (200, 0, 50)], [0, 1]).convert("PA")
    image.putalpha(row(0, 255, mode="L"))
    assert values(flatten(image, "white")) == [[255, 255, 255], [200, 0, 50]]


@pytest.mark.parametrize(
    ("image", "marked", "expected"),
    [
        (row(7, 8, mode="L"), 7, [255, 8]),
        (row((1, 2, 3), (4, 5, 6), mode="RGB"), (1, 2, 3), [[255] * 3, [4, 5, 6]]),
        (Image.fromarray(np.array([[300, 65535]], dtype=np.uint16)), 300, [0, 255]),
    ],
)
def test_one_value_marked_transparent(image, marked, expected):
    background = "black" if image.mode.startswith("I") else "white"
    opened = saved(image, transparency=marked)
    assert "transparency" in opened.info
    assert values(flatten(opened, background)) == expected


DEEP = np.array([[0, 128, 129, 257, 32768, 40000, 65535]], dtype=np.uint16)
DEEP_AS_BYTES = [0, 0, 1, 1, 128, 156, 255]  # to the nearest of v / 257: clipping gives 255s


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    buffer = BytesIO()
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    Image.fromarray(DEEP).save(buffer, kind, **options)
    flat = flatten(decode(buffer.getvalue()), "white")
    assert flat.mode == "L" and values(flat) == DEEP_AS_BYTES


def test_sixteen_bit_big_endian_and_thirty_two_bit_integers():
    big = Image.frombytes("I;16B", (7, 1), DEEP.astype(">u2").tobytes())
    assert values(flatten(big, "white")) == DEEP_AS_BYTES
    assert values(flatten(Image.fromarray(DEEP.astype(np.int32)), "white")) == DEEP_AS_BYTES


def test_float_grey_in_the_unit_interval():
    image = Image.fromarray(np.array([[0, 0.25, 0.5, 1]], dtype=np.float32))
    assert values(flatten(image, "white")) == [0, 64, 128, 255]


@pytest.mark.parametrize(
    "pixels",
    [
        np.array([[0, 70_000]], dtype=np.int32),
        np.array([[-1, 5]], dtype=np.int32),
        np.array([[0, 255]], dtype=np.float32),
        np.array([[0, np.nan]], dtype=np.float32),
    ],
)
def test_numbers_without_a_known_white_are_refused(pixels):
    with pytest.raises(DamagedImage, match="white is unknown"):
        flatten(Image.fromarray(pixels), "white")


def test_other_colour_spaces():
    assert values(flatten(row((0, 0, 0, 0), (0, 255, 255, 0), mode="CMYK"), "white")) == [
        [255, 255, 255],
        [255, 0, 0],
    ]
    assert values(flatten(row((90, 128, 128), mode="YCbCr"), "white")) == [[90, 90, 90]]
    assert values(flatten(row((0, 255, 255), (0, 0, 77), mode="HSV"), "white")) == [
        [255, 0, 0],
        [77, 77, 77],
    ]
    lab = flatten(row((255, 128, 128), mode="LAB"), "white")
    np.testing.assert_allclose(values(lab), [[255, 255, 255]], atol=2)
