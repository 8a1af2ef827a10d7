"""Which way up a picture is, as far as its metadata can be read.

EXIF and XMP are written by many programs and often badly. What cannot be read says nothing: the
picture then stays as it is stored.
"""

from io import BytesIO

from PIL import ExifTags, Image

from dataset.image_files.png_chunks import one_pixel_png

# What a viewer must do for each EXIF orientation (TIFF 6.0, tag 274); 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PLACES = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")  # keys of Pillow's info
_PNG_KINDS = (b"eXIf", b"zTXt", b"tEXt", b"iTXt")  # chunks that may say it; eXIf goes first


def upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """The picture as it is to be seen; None is upright."""
    turn = _TURNS.get(orientation) if orientation is not None else None
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1 to 8, that an opened image names; None where none can be read."""
    named = _named(image)
    for place in _PLACES:  # each alone, since one that is broken hides the others
        if named is None and place in image.info:
            alone = Image.new("1", (1, 1))
            alone.info[place] = image.info[place]
            named = _named(alone)
    return named


def png_orientation(remarks: list[tuple[bytes, bytes]]) -> int | None:
    """The same for a PNG file, from its chunks of (type, content) beside the picture."""
    for kind in _PNG_KINDS:
        for remark in remarks:
            if remark[0] == kind and (kind == b"eXIf" or remark[1].startswith(_TEXT_KEYS)):
                try:
                    image = Image.open(BytesIO(one_pixel_png(*remark)), formats=["PNG"])
                except Exception:  # Pillow raises many kinds
                    continue
                if (named := orientation(image)) is not None:
                    return named
    return None


_TEXT_KEYS = tuple(place.encode() + b"\0" for place in _PLACES)


def _named(image: Image.Image) -> int | None:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises many kinds
        return None
    return value if isinstance(value, int) and 1 <= value <= 8 else None
