"""The table of the study, from its rows."""

from pathlib import Path

from studies.debias.arms import ARMS
from studies.tables import markdown, rows_by, spread

SHOWN = {
    "fairness_discrepancy": ("discrepancy", 3),
    "fairness_discrepancy_uncorrected": ("uncorrected", 3),
    "target_kid": ("KID to the target", 4),
    "coverage": ("coverage", 3),
}


def table(rows: Path) -> str:
    """Markdown: each arm, mean and deviation over its seeds, below the floor."""
    found = {arm: sets for (arm,), sets in rows_by(rows, "arm").items()}
    if not found:
        return f"no row stands in {rows}\n"
    first = next(iter(found.values()))[0]["metrics"]
    floor = [
        f"{first[name]['floor']:.{d}f} ± {first[name]['floor_std']:.{d}f}"
        for name, (_, d) in SHOWN.items()
    ]
    lines = [["real images (floor)", "", "", *floor, ""]]
    for arm in [*(name for name in ARMS if name in found), *sorted(found.keys() - ARMS.keys())]:
        sets = found[arm]
        cells = [
            spread([r["metrics"][name]["value"] for r in sets], d) for name, (_, d) in SHOWN.items()
        ]
        seconds = spread([r["seconds_per_1000"] for r in sets], 1)
        lines.append([arm, f"{sets[0]['weight']:g}", str(len(sets)), *cells, seconds])
    titles = [title for title, _ in SHOWN.values()]
    return markdown(["arm", "weight", "seeds", *titles, "seconds for 1,000 images"], lines)
