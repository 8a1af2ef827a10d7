"""Section of the shares that classes have among generated images, where a target asks for some."""

from collections.abc import Sequence

from foundation.number_names import number_name
from pipelines.reporting.html import section, table
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.stage_outputs import Item

MOST = 8
"""Classes that the table shows."""


def shares(inputs: Inputs, best: Item) -> str:
    """Wanted shares and those of every setting; "" where params name no target."""
    items = [item for item in [*inputs.items, *inputs.students] if item.shares]
    if not items:
        return ""
    first = best if best.shares else items[0]
    names = _widest(first)
    rows: list[tuple[str, ...]] = [("", "wanted", *_row(first, names, "wanted"))]
    rows += [
        (number_name(item.ema_length), _setting(item), *_row(item, names, "found"))
        for item in items
    ]
    left = len(first.shares) - len(names)
    note = (
        "Share of the generated images that are of each class. The classifier that judges errs, so "
        "its answers are corrected by its errors on held-out images. Fairness discrepancy, among "
        "all metrics, is the distance of a row from the first one; KID to the target says what the "
        "shares cost the images."
    )
    if left > 0:
        note += f" {left} further classes lie closer to their wanted shares."
    return section(
        "Shares of classes",
        note,
        table(("EMA length", "sampler", *names), rows, numeric=tuple(range(2, 2 + len(names)))),
    )


def _widest(item: Item) -> list[str]:
    """The classes that are furthest from their wanted shares, in the item's order."""

    def error(name: str) -> float:
        entry = item.shares[name]
        return abs((entry.get("found") or 0.0) - (entry.get("wanted") or 0.0))

    chosen = set(sorted(item.shares, key=error, reverse=True)[:MOST])
    return [name for name in item.shares if name in chosen]


def _setting(item: Item) -> str:
    return item.sampler if item.student is None else f"{item.student}, {item.sampler}"


def _row(item: Item, names: Sequence[str], which: str) -> list[str]:
    found = [item.shares.get(name, {}).get(which) for name in names]
    return ["0%" if share is None else f"{share:.1%}" for share in found]
