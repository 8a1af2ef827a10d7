"""Shortens the names of runs to the words in which they differ, for columns and legends."""

import re
from collections.abc import Sequence


def short_names(names: Sequence[str]) -> list[str]:
    """The names without the words that all of them have; the whole names if some become equal.

    Counts of what a name leaves out ("+2") are dropped too. For example,
    ["digits none s0 +2 91bc", "digits graph s0 3f2a"] -> ["none 91bc", "graph 3f2a"].
    """
    common = set.intersection(*(set(name.split()) for name in names)) if len(names) > 1 else set()
    short = [
        " ".join(w for w in name.split() if w not in common and not re.fullmatch(r"\+\d+", w))
        for name in names
    ]
    return short if all(short) and len(set(short)) == len(names) else list(names)
