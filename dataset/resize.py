"""Centre crop and resize to a square, by a filter that is recorded in dataset.json."""

import numpy as np
from PIL import Image

_STRIP = 2**20  # pixels that are summed at once


def centre_crop(image: Image.Image) -> Image.Image:
    """The largest square at the centre; an odd remainder goes to the right or the bottom."""
    if image.width == image.height:
        return image  # a copy of it would cost its memory again
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def resize_square(image: Image.Image, resolution: int, method: str) -> np.ndarray:
    """A square L or RGB image -> uint8 [resolution, resolution, 1 or 3].

    At the right size already, pixels are kept as they are.
    """
    assert image.mode in ("L", "RGB") and image.width == image.height, (image.mode, image.size)
    if image.width != resolution and method == "lanczos":
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return _pixels(image) if image.width == resolution else _area(image, resolution)


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).reshape(image.height, image.width, -1)  # [H, W, C]


def _area(image: Image.Image, size: int) -> np.ndarray:
    """Mean of the source over the exact area that each target pixel covers, parts included.

    (Pillow's BOX filter counts a source pixel whole or not at all, which is uneven at 28 -> 16.)
    All in integers, so every machine rounds alike.
    """
    side = image.width
    area = side**2
    rows = np.empty((size, side, len(image.getbands())), dtype=np.int64)
    width = max(1, _STRIP // side)  # in strips of columns, since sums take eight times the memory
    for left in range(0, side, width):
        strip = image.crop((left, 0, min(left + width, side), side))
        rows[:, left : left + width] = _sum_along_rows(_pixels(strip), size)
    sums = _sum_along_rows(rows.transpose(1, 0, 2), size).transpose(1, 0, 2)  # [size, size, C]
    return ((2 * sums + area) // (2 * area)).astype(np.uint8)


def _sum_along_rows(values: np.ndarray, size: int) -> np.ndarray:
    """[side, ...] -> int64 [size, ...]: sums over `size` equal stretches, in units of 1 / size."""
    side = values.shape[0]
    first, part = np.divmod(np.arange(size + 1) * side, size)  # edges: source pixel and part of it
    whole = np.add.reduceat(values, first[:-1], axis=0, dtype=np.int64)
    whole[first[1:] == first[:-1]] = 0  # reduceat gives the first value for an empty stretch
    parts = part.reshape(-1, *[1] * (values.ndim - 1)) * values[first.clip(max=side - 1)]
    return size * whole + parts[1:] - parts[:-1]
