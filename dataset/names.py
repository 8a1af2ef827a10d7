"""Names of files and classes: in which order they stand, and how they are shown."""

import re
import unicodedata

_BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Classes of the characters that turn the direction of what follows them."""


def natural_order(name: str) -> tuple[list[tuple[int, int]], str]:
    """Sort key that counts: 2 stands before 10, and x2 before x10.

    Without digits, names are ordered code point by code point, and the same on every machine.
    """
    key = []
    for part in re.findall(r"[0-9]+|[^0-9]", name):
        # A number takes the place of a digit among other characters.
        key.append((ord("0"), int(part)) if part[0] in "0123456789" else (ord(part), 0))
    return key, name


def readable(name: str) -> str:
    r"""The name as it can be written on one line, in any file and on any screen.

    Bytes that are not UTF-8, which Python holds as lone surrogates, become \xNN; so do control
    characters, line breaks and marks that turn the direction of writing, as Python escapes them.
    """
    return name if name.isprintable() else "".join(map(_escaped, name))


def is_utf8(name: str) -> bool:
    """Whether the bytes of a file's name, as Python read them, are UTF-8."""
    return not re.search("[\udc80-\udcff]", name)


def _escaped(character: str) -> str:
    if not is_utf8(character):
        return f"\\x{ord(character) - 0xDC00:02x}"
    turns = unicodedata.bidirectional(character) in _BIDIRECTIONAL
    if turns or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character
