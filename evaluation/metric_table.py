"""The one table of metrics: title, meaning, which way is better, and where each is shown.

Every page, figure, table and sweep reads it, and pipelines/upkeep/metric_doc.py prints it for
docs/metrics.md. A measured metric without a row here is listed in reports by its key. This module
imports nothing that is slow.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from evaluation.metric_rows.curves import CURVES
from evaluation.metric_rows.entry import Better, Display, MetricEntry
from evaluation.metric_rows.images import METRICS

__all__ = ["CURVES", "METRICS", "TABLE", "Better", "Display", "MetricEntry"]

TABLE = METRICS | CURVES

BETTER_WORDS: dict[Better | None, str] = {
    "down": "lower",
    "up": "higher, up to its floor",
    "floor": "near its floor",
    None: "",
}
"""Which way is better, as every page, table and chart writes it. No other place words it."""


def better_sentence(better: Better | None) -> str:
    """ "Better: lower." and so on; "" if no way is better."""
    return f"Better: {BETTER_WORDS[better]}." if better else ""


def metric_entry(key: str, fd_name: str = "FD") -> MetricEntry:
    """The row of a metric; for one without a row, its key as title.

    fd_name: name of the Frechet distance in the features that were used, e.g. FD-Classifier.
    """
    row = TABLE.get(key, MetricEntry(key.replace("_", " ")))
    if key.startswith("fd"):
        return replace(row, title=row.title.replace("FD", fd_name, 1))
    return row


def shown(display: Display) -> list[str]:
    """Keys of the metrics that a display shows, in the order of the table."""
    return [key for key, row in TABLE.items() if display in row.shown]


def shown_with_floors(display: Display) -> list[str]:
    """Keys of the metrics that a display shows, with those of floors: kid, kid_floor, ..."""
    found = []
    for key in shown(display):
        found += [key, f"{key}_floor"] if TABLE[key].floor_beside else [key]
    return found


def cost(better: Better | None, value: float, floor: float | None = None) -> float | None:
    """A number that is lower for better values of the metric; None if no way is better.

    It is the value if lower is better, its negative if higher is, else its distance from the floor
    (None without a floor).
    """
    if better == "down":
        return value
    if better == "up":
        return -value
    return None if better is None or floor is None else abs(value - floor)


def best_of(found: Mapping[str, Mapping[str, float | None]]) -> tuple[str, str] | None:
    """(metric, name) of the best of several results; None if none has a metric of `choice`.

    found: {name: {"kid": ..., "kid_floor": ...}}. The first metric of `choice` that any result has
    decides; results in which it is missing or not finite are ignored.
    """
    for key in shown("choice"):
        costs = {}
        for name, values in found.items():
            value, floor = values.get(key), values.get(f"{key}_floor")
            if value is not None and math.isfinite(value):
                costs[name] = cost(TABLE[key].better, value, floor)
        known = {name: found for name, found in costs.items() if found is not None}
        if known:
            return key, min(known, key=lambda name: known[name])
    return None
