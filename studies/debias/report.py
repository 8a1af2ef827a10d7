"""The table of the study, from its rows."""

from collections.abc import Sequence
from pathlib import Path

from studies.debias.arms import ARMS, TUNING_SEED
from studies.tables import markdown, rows_by, spread

SHOWN = {
    "fairness_discrepancy": ("discrepancy", 3),
    "fairness_discrepancy_uncorrected": ("uncorrected", 3),
    "target_kid": ("KID to the target", 4),
    "coverage": ("coverage", 3),
}
ABOVE = "KID above conditional (floor deviations)"
"""The study's aim is a low discrepancy at a low price in this."""
BOUND = "conditional"
HEAD = ["data", "arm", "weight", "seeds", "discrepancy", ABOVE]


def table(rows: Path) -> str:
    """Markdown: each arm and weight, mean and deviation over its seeds, below the data's floor."""
    found = {}
    for key, sets in rows_by(rows, "data", "arm", "weight").items():
        if kept := [row for row in sets if row["seed"] != TUNING_SEED]:
            found[key] = kept
    if not found:
        return f"no row stands in {rows} (those of seed {TUNING_SEED} are in no table)\n"
    lines: list[list[str]] = []
    order = {name: place for place, name in enumerate(ARMS)}
    keys = sorted(found, key=lambda key: (key[0], order.get(key[1], len(order)), key[2] or 0.0))
    for data, arm, weight in keys:
        sets = found[data, arm, weight]
        if not lines or lines[-1][0] != data:
            lines.append(floor_line(data, sets[0]["metrics"]))
        first, *rest = (
            spread([r["metrics"][name]["value"] for r in sets], d) for name, (_, d) in SHOWN.items()
        )
        above = spread(prices(sets, found.get((data, BOUND, None), [])), 1)
        seconds = spread([r["seconds_per_1000"] for r in sets], 1)
        strength = "" if weight is None else f"{weight:g}"
        lines.append([data, arm, strength, str(len(sets)), first, above, *rest, seconds])
    titles = [title for title, _ in SHOWN.values()][1:]
    return markdown([*HEAD, *titles, "seconds for 1,000 images"], lines)


def prices(sets: Sequence[dict], bound: Sequence[dict]) -> list[float]:
    """(KID - conditional's KID) / floor_std of each row whose seed `conditional` has too."""
    kid = {row["seed"]: row["metrics"]["target_kid"]["value"] for row in bound}
    own = [(row["seed"], row["metrics"]["target_kid"]) for row in sets]
    return [(k["value"] - kid[seed]) / k["floor_std"] for seed, k in own if seed in kid]


def floor_line(data: str, metrics: dict) -> list[str]:
    """The line of real images, from the metrics of any row of the data."""
    first, *rest = (
        f"{metrics[name]['floor']:.{d}f} ± {metrics[name]['floor_std']:.{d}f}"
        for name, (_, d) in SHOWN.items()
    )
    return [data, "real images (floor)", "", "", first, "", *rest, ""]
