"""Hints at the name that was meant, for errors about an unknown one."""

import difflib
from collections.abc import Iterable

LISTED = 20
"""A list of more names than this does not fit into one line of an error."""
COMPARED, LONGEST = 500, 100
"""Names are compared up to this number and length, so that a hint takes no time."""


def spelling_hint(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of an error about an unknown name: ": did you mean 'train.lr'?", or what is known.

    A known name whose last dotted part equals `name` counts as similar. Where no name is similar,
    all known names are listed; where more than LISTED are known, the hint is `otherwise`.
    """
    names = [str(one) for one in known]
    lower = {one.lower(): one for one in names}
    close: list[str] = []
    if len(names) <= COMPARED and len(str(name)) <= LONGEST:
        close = [lower[one] for one in difflib.get_close_matches(str(name).lower(), lower, 1)]
    if not close and "." not in str(name):
        close = [one for one in names if one.rpartition(".")[2] == name][:1]
    if close:
        return f": did you mean {close[0]!r}?"
    if not names:
        return ""
    return f" (known: {', '.join(names)})" if len(names) <= LISTED else otherwise


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError naming the most similar known name when `name` is not in `known`."""
    names = list(known)
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r:.80}{spelling_hint(name, names)}")
