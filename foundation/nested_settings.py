"""Settings in sections, with changes put on top."""

from collections.abc import Mapping


def merged(settings: Mapping, changes: Mapping) -> dict:
    """`settings` with `changes`; sections are merged, all else, lists too, is replaced."""
    out = dict(settings)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out
