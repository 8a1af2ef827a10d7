"""The table of the study, from its rows."""

from pathlib import Path

from evaluation.paired_statistics import difference_text, paired_difference
from studies.tables import markdown, rows_by, spread

METHODS = {
    "time_step": "time_step",
    "likelihood": "likelihood",
    "uniform": "uniform",
    "underflowed": "time_step by 1 - erf",
    "logistic": "logistic regression",
    "nearest": "nearest pixels",
}
COMPARED = ("time_step", "likelihood", "uniform")


def table(rows: Path) -> str:
    """Markdown: accuracy (%), mean and deviation over the draws, and paired gains on logistic."""
    found = rows_by(rows, "task", "arm", "shots")
    if not found:
        return f"no row stands in {rows}\n"
    lines = []
    for (task, arm, shots), sets in sorted(found.items()):
        cells = [spread([100 * row["accuracy"][m] for row in sets], 1) for m in METHODS]
        gains = [gain(sets, method) for method in COMPARED]
        lines.append([task, arm, str(shots), str(len(sets)), *cells, *gains])
    head = ["task", "arm", "shots", "draws", *METHODS.values()]
    return markdown([*head, *(f"{METHODS[m]} - logistic" for m in COMPARED)], lines)


def gain(sets: list[dict], method: str) -> str:
    """Points of accuracy above logistic regression, draw by draw, with a 95% interval."""
    first, other = (
        {row["draw"]: 100 * row["accuracy"][name] for row in sets} for name in ("logistic", method)
    )
    return difference_text(paired_difference(first, other))
