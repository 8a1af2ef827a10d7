"""Chooses which item of each run stands beside which, and says what was compared."""

from collections.abc import Sequence
from dataclasses import replace

from evaluation.metric_table import best_of
from pipelines.comparison.runs import Compared, equal_throughout

BEST = "the best item of each run"
BEST_WITH_ADAPTER = "the best item with the adapter of each run"


def views(runs: Sequence[Compared], item: str | None = None) -> list[tuple[str, list[Compared]]]:
    """[(what the items are, the runs with their item chosen), ...], one for each table of metrics.

    item: show this one of every run. Without it, the best item of each run comes first. Where none
    of these uses the denoiser's adapter, they cannot tell what an adapter brings, so the best items
    that use it come second. Raises ValueError if no run has `item`.
    """
    if item is not None:
        if not any(item in run.items for run in runs):
            known = ", ".join(dict.fromkeys(name for run in runs for name in run.items))
            raise ValueError(f"--item {item}: the runs have {known or 'no item'}")
        return [(f"item {item} of each run", [replace(run, chosen=item) for run in runs])]
    found = [(BEST, list(runs))]
    adapted = [best_of({n: m for n, m in run.items.items() if run.adapted(n)}) for run in runs]
    if any(adapted) and not any(run.best and run.adapted(run.best) for run in runs):
        # A run without such an item goes on standing there with its best one.
        pairs = zip(runs, adapted, strict=True)
        chosen = [replace(run, chosen=best[1] if best else run.best) for run, best in pairs]
        lacking = "" if all(adapted) else " (of one that has none, its best item)"
        found.append((BEST_WITH_ADAPTER + lacking, chosen))
    return found


def equal_line(runs: Sequence[Compared]) -> str | None:
    """A sentence where the chosen items have equal metrics, limited to these; else None."""
    if not equal_throughout(runs):
        return None
    items = list(dict.fromkeys(run.item for run in runs if run.item))
    games = any(run.adapted(name) for run in runs for name in run.items)
    uses = [any(run.adapted(item) for run in runs) for item in items]
    named = f"item{'s' * (len(items) > 1)} {' and '.join(items)}"
    if games and not any(uses):
        named += f", which {'do' if len(items) > 1 else 'does'} not use the adapter"
    elif games and all(uses):
        named += f", which use{'s' * (len(items) == 1)} the adapter"
    return f"All metrics are equal in every digit: the runs have the same images of {named}."
