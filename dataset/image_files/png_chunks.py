"""The chunks of a PNG file: those that make its picture, and those that only speak of it.

The picture is checked: its chunks must be whole and match their checksums. A fault in a text, a
colour profile, an animation's later frames or EXIF is no fault of the picture.

Source: https://www.w3.org/TR/png-3/, sections 5.3 and 11.
"""

import struct
import zlib
from typing import NamedTuple

from dataset.errors import DamagedImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ANCILLARY = 0x20  # this bit of a type's first letter says that a picture can be shown without it


class PngParts(NamedTuple):
    """A PNG file taken apart."""

    picture: bytes
    """A PNG file of the picture's own chunks."""
    remarks: list[tuple[bytes, bytes]]
    """(type, content) of each further chunk that matches its checksum."""


def png_parts(data: bytes) -> PngParts:
    """Take a PNG file apart. Raises DamagedImage where the picture is cut off or altered."""
    view = memoryview(data)
    picture: list[bytes | memoryview] = [SIGNATURE]
    remarks: list[tuple[bytes, bytes]] = []
    position = len(SIGNATURE)
    while True:
        if position + 8 > len(data):
            raise DamagedImage("PNG file is cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            whole = position == sum(map(len, picture))  # nothing was left out: no second copy
            return PngParts(data if whole else b"".join([*picture, _chunk(kind, b"")]), remarks)
        end = position + 12 + length
        if not kind.isalpha() or end > len(data):
            raise DamagedImage("PNG file is cut off or damaged")
        intact = zlib.crc32(view[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
        if kind != b"tRNS" and kind[0] & _ANCILLARY:
            if intact:
                remarks.append((kind, data[position + 8 : end - 4]))
        elif intact:
            picture.append(view[position:end])
        else:
            raise DamagedImage(f"PNG chunk {kind.decode()} does not match its checksum")
        position = end


def one_pixel_png(kind: bytes, content: bytes) -> bytes:
    """A PNG file of one pixel and one further chunk, in which that chunk can be read alone."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)  # a grey pixel of 8 bits
    chunks = (b"IHDR", header), (kind, content), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")
    return SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
