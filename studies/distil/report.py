"""The table of the study, from its rows."""

from collections import defaultdict
from pathlib import Path

from foundation.json_files import read_object
from studies.tables import markdown, spread

SHOWN = {
    "kid": ("KID", 4),
    "fd": ("FD", 3),
    "recall": ("recall", 3),
    "coverage": ("coverage", 3),
    "structure_gap": ("structure_gap", 3),
    "nearest_train": ("nearest training image", 2),
}


def table(rows: Path) -> str:
    """Markdown: each arm at each number of evaluations, mean and deviation over its seeds."""
    found: dict[tuple, list[dict]] = defaultdict(list)
    for file in sorted(rows.glob("*.json")):
        row = read_object(file)
        for evaluations, metrics in row["metrics"].items():
            key = (
                row["arm"] + (f" ({row['variant']})" if row.get("variant") else ""),
                int(evaluations),
                row.get("kimg"),
                row.get("lr"),
            )
            found[key].append(metrics)
    if not found:
        return f"no row stands in {rows}\n"
    lines = [_floor(next(iter(found.values()))[0])]
    order = sorted(found, key=lambda key: (not key[0].startswith("teacher"), key[1], key[0]))
    for arm, evaluations, kimg, lr in order:
        sets = found[arm, evaluations, kimg, lr]
        cells = [spread([one[name]["value"] for one in sets], d) for name, (_, d) in SHOWN.items()]
        trained = "" if kimg is None else f"{kimg:g}"
        rate = "" if lr is None else f"{lr:g}"
        lines.append([arm, str(evaluations), trained, rate, str(len(sets)), *cells])
    head = ["arm", "evaluations", "kimg", "lr", "seeds", *(title for title, _ in SHOWN.values())]
    return markdown(head, lines)


def _floor(metrics: dict) -> list[str]:
    cells = []
    for name, (_, digits) in SHOWN.items():
        floor, spread = metrics[name]["floor"], metrics[name]["floor_std"]
        text = f"{floor:.{digits}f}" if floor is not None else ""
        cells.append(text + (f" ± {spread:.{digits}f}" if spread else ""))
    return ["real images (floor)", "", "", "", "", *cells]
