"""Files, Pillow images, arrays and tensors become the pixels that weights draw, or are refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.codecs import PixelCodec
from sampling.editing.picture_input import cells, read_mask, read_picture
from sampling.editing.wanted import check_wanted, wanted_edit

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY[::-1], GREY], axis=2)


def test_one_picture_in_many_forms(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    for given in (GREY, GREY[:, :, None], Image.fromarray(GREY), torch.from_numpy(GREY)):
        assert np.array_equal(read_picture(given, (1, 3, 4)), GREY[:, :, None])
    for given in (tmp_path / "grey.png", str(tmp_path / "grey.png")):
        assert np.array_equal(read_picture(given, (1, 3, 4)), GREY[:, :, None])
        assert np.array_equal(read_picture(given, (3, 3, 4)), np.repeat(GREY[:, :, None], 3, 2))
    for given in (COLOUR, tmp_path / "colour.png"):
        assert np.array_equal(read_picture(given, (3, 3, 4)), COLOUR)
    opaque = Image.fromarray(COLOUR).convert("RGBA")
    assert np.array_equal(read_picture(opaque, (3, 3, 4)), COLOUR)
    assert np.array_equal(
        read_picture(Image.fromarray(GREY).convert("RGB"), (1, 3, 4))[:, :, 0], GREY
    )


def test_white_is_drawn():
    mask = np.array([[0, 127, 128, 255]], np.uint8)
    expected = [[False, False, True, True]]
    for given in (mask, Image.fromarray(mask), Image.fromarray(mask).convert("RGB"), mask >= 128):
        assert read_mask(given, (1, 4)).tolist() == expected
    assert read_mask(torch.tensor([[True, False]]), (1, 2)).tolist() == [[True, False]]


def test_a_cell_is_drawn_if_any_of_its_pixels_is():
    drawn = np.zeros((4, 6), bool)
    drawn[1, 2] = drawn[3, 5] = True
    assert cells(drawn, (2, 3)).tolist() == [[False, True, False], [False, False, True]]
    assert np.array_equal(cells(drawn, (4, 6)), drawn)


def pierced():
    image = Image.fromarray(COLOUR).convert("RGBA")
    image.putpixel((1, 1), (0, 0, 0, 0))
    return image


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (GREY[:2], "image: 4x2 pixels, and these weights draw 4x3: crop and resize it"),
        (COLOUR, "image: is in colour, and these weights draw grey"),
        (pierced(), "image: has transparent pixels"),
        (GREY.astype(float), r"image: float64 \[3, 4\]: give uint8"),
        (np.zeros((3, 4, 2), np.uint8), r"image: uint8 \[3, 4, 2\]: give uint8"),
        (np.zeros((0, 4), np.uint8), r"image: uint8 \[0, 4\]: give uint8"),
        ("no/such.png", r"image no/such.png: No such file or directory: give a picture"),
        (12, "image: int64"),
    ],
)
def test_other_pictures_are_refused(given, told):
    with pytest.raises(ValueError, match=told):
        read_picture(given, (1, 3, 4))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (GREY[:2], "mask: 4x2 pixels, and the image has 4x3: make the mask as large"),
        (GREY * 0, "mask: no pixel is white, so nothing is to be drawn"),
        (pierced(), "mask: has transparent pixels"),
        (GREY.astype(float), r"mask: float64"),
    ],
)
def test_other_masks_are_refused(given, told):
    with pytest.raises(ValueError, match=told):
        read_mask(given, (3, 4))


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "b.png").write_bytes(b"")
    for name, told in (("a", "not an image"), ("b", "empty file")):
        with pytest.raises(ValueError, match=rf"^image .*{name}\.png: {told}.*: give a picture"):
            read_picture(tmp_path / f"{name}.png", (1, 3, 4))
    with pytest.raises(ValueError, match="Is a directory"):
        read_picture(tmp_path, (1, 3, 4))


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ((None, GREY, None, None), "--mask is of an image that is edited: give --image too"),
        ((None, None, 0.5, None), "--strength is of an image"),
        ((None, None, None, 4), "--resample is of an image"),
        ((GREY, None, None, None), "--image: say how it is edited: --mask"),
        ((GREY, None, 0.5, 4), "--resample fits what is drawn .*: give --mask too"),
        ((GREY, GREY, 1.5, None), "--strength 1.5: give 0"),
        ((GREY, GREY, None, 0), "--resample 0: give how often"),
    ],
)
def test_wishes_that_do_not_go_together(wishes, told):
    with pytest.raises(ValueError, match=told):
        check_wanted(*wishes, dashes="--")


def test_the_defaults_of_an_edit():
    codec, shape = PixelCodec(), (1, 3, 4)
    edit = wanted_edit(codec, shape, GREY, GREY)
    assert (edit.strength, edit.resample) == (1.0, 10)
    assert np.array_equal(edit.drawn, GREY >= 128) and edit.image.dtype == np.float32
    assert np.array_equal(codec.decode(torch.from_numpy(edit.image)[None])[0, :, :, 0], GREY)
    assert wanted_edit(codec, shape, None) is None
    assert wanted_edit(codec, shape, GREY, strength=0.5).passes == 1
