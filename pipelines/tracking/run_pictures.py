"""Pictures as MLflow's pages show them: small ones for a description, ones with a line of text."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


def thumbnail(file: Path, width: int = 360) -> "Image.Image":
    """A picture averaged down to at most `width` pixels, so that two stand side by side."""
    from PIL import Image

    with Image.open(file) as image:
        small = image.convert("RGB")
    small.thumbnail((width, 4 * width), Image.Resampling.BOX)
    return small


def captioned(image: Any, text: str, width: int = 320) -> "Image.Image":
    """A picture with a line of text under it, enlarged by a whole factor to about `width` pixels.

    image: uint8 [H,W], [H,W,C] or a PIL image.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    if not isinstance(image, Image.Image):
        pixels = np.asarray(image)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
    factor = max(1, round(width / image.width))
    large = image.convert("RGB").resize(
        (image.width * factor, image.height * factor), Image.Resampling.NEAREST
    )
    font = ImageFont.load_default(max(12, large.width // 32))
    box = ImageDraw.Draw(large).multiline_textbbox((0, 0), text, font)
    size = max(large.width, round(box[2]) + 16), large.height + round(box[3]) + 16
    sheet = Image.new("RGB", size, "white")
    sheet.paste(large, (0, 0))
    ImageDraw.Draw(sheet).multiline_text((8, large.height + 8), text, "black", font)
    return sheet
