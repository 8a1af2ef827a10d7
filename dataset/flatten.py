"""Any Pillow mode -> plain grey (L) or plain colour (RGB)."""

import numpy as np
from PIL import Image, ImageColor

from dataset.errors import DamagedImage

_GREY_MODES = {"1", "L", "LA", "La", "I", "F"}


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Compose transparent pixels on the background colour and drop all that is not L or RGB.

    Grey stays grey: bilevel, L, LA, 16-bit, 32-bit and float images, and palettes that hold only
    greys, become L, unless they are transparent over a coloured background. All else becomes RGB.
    ICC profiles are not applied. Raises DamagedImage for numbers without a known scale.
    """
    grey = _is_grey(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("L" if grey else "RGB")
    if image.mode == "La":
        image = image.convert("LA")  # from premultiplied; Pillow has no direct way to RGBA
    red, green, blue = ImageColor.getrgb(background)[:3]
    canvas = Image.new("RGBA", image.size, (red, green, blue, 255))
    flat = Image.alpha_composite(canvas, image.convert("RGBA"))
    return flat.getchannel("R") if grey and red == green == blue else flat.convert("RGB")


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY_MODES or image.mode.startswith("I;16")


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
