"""A file's bytes with the entries of its metadata crossed out, of the same length.

For formats whose reader stumbles over metadata before it comes to the picture: libavif over EXIF
that is no EXIF, Pillow over a TIFF description that ends outside of the file.
"""

import re
import struct

# The entry of an EXIF item in the table of an AVIF file (ISO/IEC 14496-12, item info entry).
_AVIF_EXIF = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
# TIFF tags that do not help to decode a picture: names, makers, resolution, dates, XMP,
# copyright, IPTC, Photoshop, EXIF, colour profile, GPS.
_TIFF_TAGS = {269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 700}
_TIFF_TAGS |= {33432, 33723, 34377, 34665, 34675, 34853, 37724}


def without_metadata(data: bytes) -> bytes:
    """The AVIF or TIFF file without its metadata; the same bytes where there is none to take."""
    if data[4:8] == b"ftyp":
        return _AVIF_EXIF.sub(rb"\1none", data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(data, "<" if data.startswith(b"I") else ">")
    return data


def _tiff(data: bytes, order: str) -> bytes:
    crossed = bytearray(data)
    try:
        (table,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, table)
        for entry in range(table + 2, table + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", data, entry)[0] in _TIFF_TAGS:
                crossed[entry + 2 : entry + 4] = b"\0\0"  # no type has this number
    except struct.error:  # the table itself is cut off
        return data
    return bytes(crossed)
