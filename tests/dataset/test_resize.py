from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from dataset import resize as resize_module
from dataset.resize import centre_crop, resize_square


def noise(side, channels, seed=0):
    shape = (side, side) if channels == 1 else (side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("width", "height"), [(5, 2), (2, 5), (4, 4), (6, 3)])
def test_centre_crop(width, height):
    pixels = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    cropped = np.asarray(centre_crop(Image.fromarray(pixels)))
    assert (cropped == pixels[top : top + side, left : left + side]).all()


@pytest.mark.parametrize("method", ["lanczos", "area"])
@pytest.mark.parametrize("channels", [1, 3])
def test_right_size_is_left_alone(method, channels):
    pixels = noise(9, channels)
    resized = resize_square(Image.fromarray(pixels), 9, method)
    assert resized.shape == (9, 9, channels)
    assert (resized == pixels.reshape(9, 9, channels)).all()


def test_lanczos_is_pillows():
    image = Image.fromarray(noise(20, 3))
    expected = image.resize((7, 7), Image.Resampling.LANCZOS)
    assert (resize_square(image, 7, "lanczos") == np.asarray(expected)).all()


def exact_area(pixels, size):
    """Brute force in rational numbers: overlap of every source pixel with every target pixel."""
    side = len(pixels)
    step = Fraction(side, size)
    weights = [
        [
            max(Fraction(0), min(step * (i + 1), j + 1) - max(step * i, Fraction(j)))
            for j in range(side)
        ]
        for i in range(size)
    ]
    means = [
        [
            sum(
                weights[y][v] * weights[x][u] * int(pixels[v, u])
                for v in range(side)
                for u in range(side)
                if weights[y][v] and weights[x][u]
            )
            / step**2
            for x in range(size)
        ]
        for y in range(size)
    ]
    return np.array([[int(mean + Fraction(1, 2)) for mean in line] for line in means])


@pytest.mark.parametrize(("side", "size"), [(28, 16), (9, 3), (5, 4), (3, 5), (4, 12), (7, 6)])
def test_area_against_rational_arithmetic(side, size):
    pixels = noise(side, 1, seed=side)
    resized = resize_square(Image.fromarray(pixels), size, "area")[..., 0]
    assert (resized == exact_area(pixels, size)).all()


def test_area_treats_channels_apart_and_large_images_without_overflow():
    pixels = noise(28, 3)
    resized = resize_square(Image.fromarray(pixels), 16, "area")
    for channel in range(3):
        alone = resize_square(Image.fromarray(pixels[..., channel].copy()), 16, "area")
        assert (resized[..., channel] == alone[..., 0]).all()
    white = Image.new("L", (3001, 3001), 255)
    assert (resize_square(white, 16, "area") == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_area_in_strips_is_area_of_the_whole(monkeypatch, channels):
    image = Image.fromarray(noise(37, channels))
    whole = resize_square(image, 10, "area")
    monkeypatch.setattr(resize_module, "_STRIP", 37 * 5)
    assert (resize_square(image, 10, "area") == whole).all()
