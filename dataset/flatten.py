"""Any Pillow mode -> plain grey (L) or plain colour (RGB)."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageColor

from dataset.errors import DamagedImage

_GREY_MODES = {"1", "L", "LA", "La", "I", "F"}
_STRIP = 2**20  # pixels that are converted at once


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Compose transparent pixels on the background colour and drop all that is not L or RGB.

    Grey stays grey: bilevel, L, LA, 16-bit, 32-bit and float images, and palettes of which the
    pixels show greys alone, become L, unless a coloured background shows through them. All else
    becomes RGB. ICC profiles are not applied. Works in strips, so memory holds little beside the
    image and its result. Raises DamagedImage for numbers without a known scale.
    """
    colour = ImageColor.getrgb(background)[:3]
    grey = _is_grey(image) and (len(set(colour)) == 1 or not _has_holes(image))
    mode = "L" if grey else "RGB"
    if image.mode == mode and not image.has_transparency_data:
        return image
    flat = Image.new(mode, image.size)
    for top, strip in _strips(image):
        flat.paste(_flatten_strip(strip, mode, colour), (0, top))
    return flat


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image cut into strips of eight bits a channel, each with its first row's number."""
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        deep = strip.mode in ("I", "F") or strip.mode.startswith("I;16")
        yield top, _to_eight_bits(strip) if deep else strip


def _flatten_strip(image: Image.Image, mode: str, background: tuple[int, ...]) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert(mode)
    canvas = Image.new("RGBA", image.size, (*background, 255))
    flat = Image.alpha_composite(canvas, _with_alpha(image))
    return flat.getchannel("R") if mode == "L" else flat.convert("RGB")


def _with_alpha(image: Image.Image) -> Image.Image:
    # From premultiplied grey by way of LA: Pillow has no direct way to RGBA.
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _has_holes(image: Image.Image) -> bool:
    """Whether a background shows through any pixel."""
    return image.has_transparency_data and any(
        _with_alpha(strip).getchannel("A").getextrema()[0] != 255 for _, strip in _strips(image)
    )


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        shown = _shown_entries(image)[: len(palette)]
        return bool((palette == palette[:, :1]).all(1)[shown].all())
    return image.mode in _GREY_MODES or image.mode.startswith("I;16")


def _shown_entries(image: Image.Image) -> np.ndarray:
    """Which entries of its palette an image shows, wholly transparent pixels aside, bool [256]."""
    mask = image.getchannel("A").point([0] + [255] * 255) if image.mode == "PA" else None
    counts = np.array(image.getchannel("P").histogram(mask))
    alpha = np.full(256, 255)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        alpha[transparent] = 0
    elif isinstance(transparent, bytes):
        alpha[: len(transparent)] = list(transparent[:256])
    elif image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA":
        of_palette = image.getpalette("RGBA") or []
        alpha[: len(of_palette) // 4] = of_palette[3::4]
    return (counts > 0) & (alpha > 0)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Deep grey -> L, or LA where a value is marked transparent: 65535 -> 255, 1.0 -> 255."""
    values = np.asarray(image)  # [H, W]
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise DamagedImage("float image with values outside [0, 1]: its white is unknown")
        grey = np.floor(values.astype(np.float64) * 255 + 0.5)
    else:
        if values.min() < 0 or values.max() > 65535:
            raise DamagedImage("integer image with values outside 0..65535: its white is unknown")
        grey = (values.astype(np.uint32) + 128) // 257  # 65535 / 255 = 257, to the nearest
    flat = Image.fromarray(grey.astype(np.uint8))
    marked = image.info.get("transparency")
    if isinstance(marked, int):
        flat.putalpha(Image.fromarray(np.where(values == marked, 0, 255).astype(np.uint8)))
    return flat
