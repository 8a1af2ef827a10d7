"""One image file's bytes -> a fully decoded Pillow image, or the reason why not.

Damaged files are refused: a truncated file of any format, and a PNG whose picture does not match
its checksums. A fault of metadata (text, colour profile, EXIF) is none of the picture's. An image
whose header claims more than MAX_PIXELS (a decompression bomb) is refused before decoding.
"""

import re
from functools import lru_cache
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from dataset.decoding_memory import claim
from dataset.errors import DamagedImage
from dataset.image_files.kinds import HEAD, refuse_unread
from dataset.image_files.png_chunks import SIGNATURE, png_parts
from dataset.image_files.upright import orientation, png_orientation, upright
from dataset.image_files.without_metadata import without_metadata

MAX_BYTES = 256 * 2**20
MAX_PIXELS = 89_478_485  # Pillow's own limit, a quarter of a gigabyte of RGB
# Left out: EPS runs Ghostscript, WMF draws through Windows, the others are no pictures.
_EXCLUDED_FORMATS = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}


@lru_cache(maxsize=1)
def image_formats() -> tuple[str, ...]:
    """Names of the formats that are read, in the order in which Pillow should try them."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _EXCLUDED_FORMATS)


@lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Lower-case file suffixes, with the dot, that promise an image of one of these formats."""
    formats = set(image_formats())
    return frozenset(s for s, name in Image.registered_extensions().items() if name in formats)


def decode(data: bytes) -> Image.Image:
    """Decode a file's bytes, the first frame of an animation, turned upright by its EXIF tag.

    Raises DamagedImage with a one-line reason.
    """
    if not data:
        raise DamagedImage("empty file")
    if len(data) > MAX_BYTES:
        raise DamagedImage(f"larger than {MAX_BYTES // 2**20} MiB")
    refuse_unread(data[:HEAD])
    try:
        told = None
        if data.startswith(SIGNATURE):
            data, remarks = png_parts(data)
            told = png_orientation(remarks)
        image = _opened(data)
        if image.width * image.height > MAX_PIXELS:
            raise DamagedImage(
                f"{image.width}x{image.height} pixels, more than {MAX_PIXELS:,}: make it smaller"
            )
        claim(image)
        image.load()
        return upright(image, told or orientation(image))
    except DamagedImage:
        raise
    except UnidentifiedImageError:
        raise DamagedImage("not an image that Pillow can read") from None
    except Exception as error:  # on damaged input a decoder may raise anything
        raise DamagedImage(reason(error)) from None


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=image_formats())
    except Exception:  # Pillow raises many kinds
        alone = without_metadata(data)
        if alone == data:
            raise
        return Image.open(BytesIO(alone), formats=image_formats())


def reason(error: Exception) -> str:
    """The first line of an error's message, without memory addresses: the same at every run."""
    text = (getattr(error, "strerror", None) or str(error)).strip()
    first_line = text.splitlines()[0] if text else type(error).__name__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", first_line)
