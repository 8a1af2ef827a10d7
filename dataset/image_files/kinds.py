"""Which kind of image a file holds, by its first bytes, whatever its name says.

Kinds that Pillow cannot read are known too: such files are images that are lost, and they are
counted as such.
"""

import re

from dataset.errors import DamagedImage
from dataset.suffixes import suffix_of

HEAD = 64  # bytes from a file's start that are enough

# Only beginnings that no text and no other kind of file shares.
_BEGINNINGS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\0",
    "PSD": rb"8BPS\0\x01",
    "QOI": rb"qoif",
    "DDS": rb"DDS \x7c\0\0\0",
    "ICNS": rb"icns\0",
    "PPM": rb"P[1-6]\s+\d+\s+\d+\s",
    "camera raw": rb"II\*\0.{4}CR\x02|IIR[OS]\x08\0|IIU\0|FUJIFILMCCD-RAW",
    "JPEG XL": rb"\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR": rb"II\xbc\x01",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "GIMP": rb"gimp xcf",
}
_PATTERNS = {kind: re.compile(pattern, re.DOTALL) for kind, pattern in _BEGINNINGS.items()}
_BRANDS = {  # of the container of AVIF, HEIC and films (ISO/IEC 14496-12)
    "AVIF": {b"avif", b"avis"},
    "camera raw": {b"crx "},
    "HEIC": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
}
_UNREAD = {"HEIC", "camera raw", "JPEG XL", "JPEG XR", "OpenEXR", "GIMP"}
_RAW = ".3fr .arw .cr2 .cr3 .crw .dng .iiq .nef .nrw .orf .pef .raf .rw2 .sr2 .srf .srw .x3f"
_SUFFIXES = dict.fromkeys(_RAW.split(), "camera raw")
_SUFFIXES |= dict.fromkeys((".heic", ".heif", ".heics", ".heifs", ".hif"), "HEIC")
_SUFFIXES |= {".jxl": "JPEG XL", ".jxr": "JPEG XR", ".exr": "OpenEXR", ".xcf": "GIMP"}


def unread_suffixes() -> frozenset[str]:
    """Lower-case file suffixes, with the dot, that promise an image that Pillow cannot read."""
    return frozenset(_SUFFIXES)


def image_kind(head: bytes) -> str | None:
    """The kind of image that begins with these bytes, HEAD or more; None where it is none."""
    if head[4:8] == b"ftyp":
        end = max(16, min(int.from_bytes(head[:4]), HEAD))
        brands = {head[8:12]} | {head[at : at + 4] for at in range(16, end, 4)}
        return next((kind for kind, known in _BRANDS.items() if brands & known), None)
    kinds = [kind for kind, pattern in _PATTERNS.items() if pattern.match(head)]
    return kinds[-1] if kinds else None  # a camera's raw file may begin as a TIFF does


def refuse_unread(head: bytes) -> None:
    """Raise DamagedImage, with the way out, for a kind that Pillow cannot read."""
    kind = image_kind(head)
    if kind in _UNREAD:
        raise DamagedImage(f"{kind}, which Pillow cannot read: convert it to PNG or JPEG")


def refuse_camera_raw(name: str) -> None:
    """Raise DamagedImage for a camera's raw file by its name.

    Many are TIFF files by their content, of which Pillow would read the thumbnail.
    """
    if _SUFFIXES.get(suffix_of(name)) == "camera raw":
        raise DamagedImage("camera raw, which Pillow cannot read: convert it to PNG or JPEG")
