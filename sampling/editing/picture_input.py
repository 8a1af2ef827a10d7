"""Pictures and masks as a user gives them: a file, a Pillow image, an array or a tensor."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
from PIL import Image

from dataset.decode import decode
from dataset.errors import DamagedImage
from dataset.flatten import flatten

if TYPE_CHECKING:
    from torch import Tensor

Given: TypeAlias = Union[str, Path, Image.Image, np.ndarray, "Tensor"]
"""A file; a Pillow image; uint8 [H, W] or [H, W, C], for a mask also bool [H, W]."""
WHITE = 128
"""From this grey on a mask is white."""


def read_picture(given: Given, shape: tuple[int, int, int], name: str = "image") -> np.ndarray:
    """uint8 [H, W, C] of the shape (C, H, W) that weights draw; grey is repeated into colour.

    name: for messages. Raises ValueError for another size, colour where grey is drawn, transparent
    pixels, and what is no picture: one line each, with the mend.
    """
    name, pixels = _pixels(given, name)
    channels, height, width = shape
    if pixels.shape[:2] != (height, width):
        raise ValueError(
            f"{name}: {pixels.shape[1]}x{pixels.shape[0]} pixels, and these weights draw "
            f"{width}x{height}: crop and resize it to that"
        )
    grey = bool((pixels == pixels[:, :, :1]).all())
    if channels == 1 and not grey:
        raise ValueError(
            f"{name}: is in colour, and these weights draw grey: make it a grey picture"
        )
    return np.ascontiguousarray(
        pixels[:, :, :1] if channels == 1 else np.broadcast_to(pixels, (height, width, channels))
    )


def read_mask(given: Given, size: tuple[int, int], name: str = "mask") -> np.ndarray:
    """bool [H, W], True where the mask is white (128 of 255, or more).

    size: (H, W) of the image. Raises ValueError for another size, a mask without white, transparent
    pixels, and what is no picture.
    """
    if not isinstance(given, str | Path | Image.Image):
        given = _array(given)
        given = given.astype(np.uint8) * 255 if given.dtype == bool else given
    name, pixels = _pixels(given, name)
    if pixels.shape[:2] != size:
        raise ValueError(
            f"{name}: {pixels.shape[1]}x{pixels.shape[0]} pixels, and the image has "
            f"{size[1]}x{size[0]}: make the mask as large as the image"
        )
    colour = Image.fromarray(np.broadcast_to(pixels, (*size, 3)).copy())
    drawn = np.asarray(colour.convert("L")) >= WHITE
    if not drawn.any():
        raise ValueError(
            f"{name}: no pixel is white, so nothing is to be drawn: paint white what is drawn anew"
        )
    return drawn


def cells(drawn: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask [H, W] on the cells [h, w] of latents: True where any pixel of the cell is drawn."""
    (height, width), (rows, columns) = drawn.shape, size
    assert height % rows == 0 and width % columns == 0, (drawn.shape, size)
    parts = drawn.reshape(rows, height // rows, columns, width // columns)
    return np.any(parts, axis=(1, 3))


def _pixels(given: Given, name: str) -> tuple[str, np.ndarray]:
    """The name with the file's, and uint8 [H, W, 1 or 3]."""
    if isinstance(given, str | Path):
        name = f"{name} {given}"
        try:
            image = decode(Path(given).read_bytes())
        except (OSError, DamagedImage) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"{name}: {why}: give a picture, such as a PNG") from None
    elif isinstance(given, Image.Image):
        image = given
    else:
        array = _array(given)
        good = array.dtype == np.uint8 and array.size and array.ndim in (2, 3)
        if not good or (array.ndim == 3 and array.shape[2] not in (1, 3)):
            raise ValueError(
                f"{name}: {array.dtype} {list(array.shape)}: give uint8 [H, W], [H, W, 1] or "
                "[H, W, 3], a Pillow image, or the name of a file"
            )
        return name, array if array.ndim == 3 else array[:, :, None]
    try:
        flat, other = (np.asarray(flatten(image, colour)) for colour in ("#000000", "#ffffff"))
    except DamagedImage as error:
        raise ValueError(f"{name}: {error}: give eight bits a channel") from None
    if not np.array_equal(flat, other):
        raise ValueError(f"{name}: has transparent pixels: save it without transparency")
    return name, flat if flat.ndim == 3 else flat[:, :, None]


def _array(given: object) -> np.ndarray:
    """An array of what is one, or a tensor on any device."""
    detach = getattr(given, "detach", None)
    return np.asarray(given if detach is None else detach().cpu())
