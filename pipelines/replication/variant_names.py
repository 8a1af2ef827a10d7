"""Shortens the names of variants to the settings in which they differ, for columns and labels."""

import re
from collections.abc import Sequence


def settings_of(variant: str) -> list[str]:
    """ "structure.kind=none train.lr=0.1" -> ["structure.kind=none", "train.lr=0.1"]."""
    return re.split(r" (?=[A-Za-z_][\w.]*=)", variant)


def common_settings(variants: Sequence[str]) -> list[str]:
    """The settings that all of several variants have."""
    if len(variants) < 2:
        return []
    first, *others = map(settings_of, variants)
    return [setting for setting in first if all(setting in other for other in others)]


def short_variants(variants: Sequence[str]) -> list[str]:
    """The variants without the settings that all of them have."""
    common = common_settings(variants)
    return [" ".join(s for s in settings_of(v) if s not in common) or v for v in variants]
