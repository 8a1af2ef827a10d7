"""The first of many names, for one line on the screen."""

from collections.abc import Sequence

LONGEST = 60
"""Characters of a name that a message shows."""


def few(names: Sequence[str], shown: int) -> str:
    """The first names, each on one line and short, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(plain, names[:shown])) + more


def plain(name: str) -> str:
    """A name from a file: with escapes if it cannot be printed, and cut off if it is long."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
