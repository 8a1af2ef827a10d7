"""Hints at the name that was meant, for errors about an unknown one."""

import difflib
from collections.abc import Iterable

LISTED = 20
"""More names than these are not listed: a document holds them."""


def nearest_name(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The tail of an error about an unknown name: ": did you mean 'train.lr'?", or what is known.

    A name whose last dotted part is the one given counts as near. `otherwise` is said where no
    name is near and there are too many to list.
    """
    names = [str(one) for one in known]
    lower = {one.lower(): one for one in names}
    close = [lower[one] for one in difflib.get_close_matches(str(name).lower(), lower, 1)]
    if not close and "." not in str(name):
        close = [one for one in names if one.rpartition(".")[2] == name][:1]
    if close:
        return f": did you mean {close[0]!r}?"
    if not names:
        return ""
    return f" (known: {', '.join(names)})" if len(names) <= LISTED else otherwise


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError naming the nearest known name when `name` is none of `known`."""
    names = list(known)
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}{nearest_name(name, names)}")
