"""A bound on the memory of all pictures that threads decode at the same time.

A photograph of 90 million pixels may take a gigabyte until it is a small square. Each thread asks
before it decodes, by what the header says, and waits while others hold too much; a picture that is
larger than the bound alone is decoded alone.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

BOUND = 2**30  # bytes
# Bytes of a pixel in Pillow's memory; 4 in all modes that are not named.
_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# What a decoder takes of its own for each pixel, measured on pictures of 16 million pixels.
_DECODER = {"JPEG": 6, "MPO": 6, "AVIF": 6, "WEBP": 12, "JPEG2000": 16}

_changed = threading.Condition()
_in_use = 0
_mine = threading.local()


def needed(image: Image.Image) -> int:
    """Bytes to decode an opened image, turn it upright or crop it, and flatten it."""
    pixel = _PIXEL.get(image.mode, 4)
    return image.width * image.height * (2 * pixel + 4 + _DECODER.get(image.format or "", 0))


@contextmanager
def picture() -> Iterator[None]:
    """Within it, one picture is decoded and made small; leaving it gives back its memory."""
    _mine.claimed = 0
    try:
        yield
    finally:
        _give_back()
        del _mine.claimed


def claim(image: Image.Image) -> None:
    """Wait for the memory that an opened image will take. Without `picture` it only goes on."""
    global _in_use
    if not hasattr(_mine, "claimed"):
        return
    _give_back()  # a thread that held some and waited for more could wait for itself
    size = needed(image)
    with _changed:
        _changed.wait_for(lambda: _in_use == 0 or _in_use + size <= BOUND)
        _in_use += size
    _mine.claimed = size


def _give_back() -> None:
    global _in_use
    with _changed:
        _in_use -= _mine.claimed
        _mine.claimed = 0
        _changed.notify_all()
