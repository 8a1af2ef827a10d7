"""How many images each class has, in one or two lines for the screen and the report."""

from collections.abc import Mapping
from typing import Any

SHOWN = 12
"""So many classes are listed one by one."""
ENDS = 3
"""Of more classes, so many of the smallest and of the largest are."""


def class_counts(manifest: Mapping[str, Any]) -> list[str]:
    """Lines on the class counts of dataset.json; [] without classes.

    A class with fewer than a tenth of the images of the median class is told, since the model sees
    it seldom.
    """
    names, counts = manifest.get("label_names") or [], manifest.get("class_counts") or []
    found = sorted(zip(counts, names, strict=True), key=lambda entry: entry[0])
    if not found:
        return []
    if len(found) <= SHOWN:
        parts = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True)]
        lines = [f"images of each class: {', '.join(parts)}"]
    else:
        few = ", ".join(f"{name} ({count:,})" for count, name in found[:ENDS])
        many = ", ".join(f"{name} ({count:,})" for count, name in reversed(found[-ENDS:]))
        lines = [
            f"{len(found):,} classes of {found[0][0]:,} to {found[-1][0]:,} images; fewest: {few}; "
            f"most: {many}"
        ]
    if unlabelled := manifest.get("num_unlabelled", 0):
        lines.append(f"images without a class: {unlabelled:,}")
    median = found[len(found) // 2][0]
    rare = [name for count, name in found if count * 10 < median]
    if rare:
        more = f" and {len(rare) - ENDS} more" if len(rare) > ENDS else ""
        lines.append(
            f"fewer than a tenth of the median class's {median:,} images: "
            f"{', '.join(rare[:ENDS])}{more}"
        )
    return lines
