"""Hints at the name that was meant, for errors about an unknown one."""

import difflib
from collections.abc import Iterable


def nearest_name(name: str, known: Iterable[str]) -> str:
    """', did you mean ...? (known: ...)', the tail of each error about an unknown name."""
    names = list(known)
    close = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.0)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return f"{hint} (known: {', '.join(names)})" if names else hint


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError naming the nearest known name when `name` is none of `known`."""
    names = list(known)
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}{nearest_name(name, names)}")
