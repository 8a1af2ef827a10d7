"""What an unquoted word of a YAML file means, where all readers agree on it.

PyYAML follows YAML 1.1 and DVC's reader (ruamel.yaml) YAML 1.2: `010` is 8 for one and 10 for the
other. Such a word is refused, and the message says how to write what was meant.
"""

import contextlib
import math
import re
from typing import Any

NULLS = ("", "~", "null", "Null", "NULL")
TRUTHS = {
    word: spelling == "true"
    for spelling in ("true", "false")
    for word in (spelling, spelling.title(), spelling.upper())
}
LARGEST = 2**63 - 1
SHOWN = 60
"""Characters of a word that a message shows."""

_INT = re.compile(r"[-+]?(?:0*[0-7]|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"[-+]?0(?:b[01]+|x[0-9a-fA-F]+)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+][0-9]+)?)"
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?"
)

# Words that only some readers take for a truth value or a number.
_SWITCHES = {
    word: str(spelling in ("yes", "on")).lower()
    for spelling in ("yes", "no", "on", "off")
    for word in (spelling, spelling.title(), spelling.upper())
}
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_OCTAL = re.compile(r"([-+]?)0o([0-7_]+)")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_LIKE_A_NUMBER = re.compile(
    r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+][0-9_]+|[0-9][0-9_]*"
    r"|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?"
)


class ScalarError(ValueError):
    """A word cannot be used unquoted; the message begins with it."""


def plain_value(word: str) -> Any:
    """None, a truth value, a number or text: what every reader takes the unquoted word for.

    Raises ScalarError for a word that readers take differently, a date, and a number that is not
    finite or beyond 64 bits.
    """
    if word in NULLS:
        return None
    if word in TRUTHS:
        return TRUTHS[word]
    if _INT.fullmatch(word):
        return _within_64_bits(word, 10)
    if _OTHER_BASE.fullmatch(word):
        return _within_64_bits(word, 0)
    if _FLOAT.fullmatch(word):
        value = float(word)
        if not math.isfinite(value):
            raise ScalarError(f"{shortened(word)} is beyond what a number can hold, about 1.8e308")
        return value
    if _NOT_FINITE.fullmatch(word):
        raise ScalarError(f"{word} is not a finite number: give one, or leave the key out")
    if _DATE.fullmatch(word):
        raise ScalarError(f'{word} is read as a date: for text write "{word}" in quotes')
    _refuse_where_readers_differ(word)
    return word


def needs_quotes(text: str) -> bool:
    """Whether the text, written without quotes, would be read as something else, or refused."""
    try:
        return not isinstance(plain_value(text), str)
    except ScalarError:
        return True


def shortened(text: str) -> str:
    """At most SHOWN characters of a text, for messages."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 20]}... ({len(text)} characters)"


def _within_64_bits(word: str, base: int) -> int:
    # Python refuses to convert thousands of digits; no number in range has more than 64 of them.
    value = int(word, base) if len(word) <= 67 else None
    if value is None or abs(value) > LARGEST:
        raise ScalarError(f"{shortened(word)} is too large: whole numbers go up to 2^63 - 1")
    return value


def _refuse_where_readers_differ(word: str) -> None:
    if word in ("=", "<<"):
        raise ScalarError(f'{word} is a sign of YAML: for text write "{word}" in quotes')
    known = (_LEADING_ZERO, _OCTAL, _BASE_60, _LIKE_A_NUMBER)
    if word not in _SWITCHES and not any(pattern.fullmatch(word) for pattern in known):
        return
    one, other, meant = "a number", "text", "it in plain digits"
    if len(word) <= SHOWN:
        with contextlib.suppress(ValueError):  # of 0b_ and the like
            one, other, meant = _readings(word)
    if one == other:  # to a reader that keeps strictly to YAML 1.2 it is text
        other = "text"
    raise ScalarError(
        f"{shortened(word)} is {one} to one reader of YAML and {other} to another: write {meant}, "
        f'or "{shortened(word)}" in quotes for text'
    )


def _readings(word: str) -> tuple[str, str, str]:
    """What two readers take the word for, and how its probable meaning is written."""
    if word in _SWITCHES:
        return _SWITCHES[word], "text", _SWITCHES[word]
    digits = word.replace("_", "")
    if _BASE_60.fullmatch(word):
        total = _base_60(digits)
        return total, "text", total
    if octal := _OCTAL.fullmatch(word):
        value = str(int(octal[1] + octal[2].replace("_", ""), 8))
        return "text", value, value
    if _LEADING_ZERO.fullmatch(word):
        decimal = str(int(digits))
        return "text" if set(digits) & set("89") else str(int(digits, 8)), decimal, decimal
    try:
        number = str(int(digits, 0))
    except ValueError:
        number = repr(float(digits))
    return number, "text", number


def _base_60(digits: str) -> str:
    total = 0.0
    for part in digits.lstrip("+-").split(":"):
        total = total * 60 + float(part)
    sign = "-" if digits.startswith("-") else ""
    return f"{sign}{total!r}" if "." in digits else f"{sign}{int(total)}"
