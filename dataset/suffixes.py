"""Files counted by their suffix, for what is left out of a data set."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

NO_SUFFIX = "no suffix"
_MOST = 20  # suffixes that are named; numbered files may have a suffix each


def suffix_of(name: str) -> str:
    """The lower-case suffix of a file's name, with the dot; empty where there is none.

    What follows the dot of `Dr. Smith at home` is none: it has blanks, or more than ten letters.
    """
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if re.fullmatch(r"\.\S{1,10}", suffix) else ""


def count_by_suffix(names: Iterable[str]) -> dict[str, int]:
    """How many of the files have each suffix, the most frequent first; rare ones as one number."""
    counts = Counter(_shown(suffix_of(name)) or NO_SUFFIX for name in names)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ranked[_MOST:])
    return dict(ranked[:_MOST]) | ({"other suffixes": rest} if rest else {})


def in_words(counts: Mapping[str, int]) -> str:
    """Such as `48 .heic, 3 .txt, 1 no suffix`."""
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.items())


def _shown(suffix: str) -> str:
    """The suffix, escaped where it could not be printed."""
    return suffix if suffix.isprintable() else ascii(suffix)[1:-1]
