"""Shortens the names of runs to the words in which they differ, for columns and legends."""

from collections.abc import Sequence


def short_names(names: Sequence[str]) -> list[str]:
    """The names without the words that all of them have; the whole names if some become equal.

    ["digits none s0 91bc", "digits graph s0 3f2a"] -> ["none 91bc", "graph 3f2a"].
    """
    common = set.intersection(*(set(name.split()) for name in names)) if len(names) > 1 else set()
    short = [" ".join(word for word in name.split() if word not in common) for name in names]
    return short if all(short) and len(set(short)) == len(names) else list(names)
