"""The table of the study, from its rows."""

from pathlib import Path

import numpy as np

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
TUNING_SEED = 20
"""Its rows stay out of the table, since settings were chosen upon them."""


def table(rows: Path) -> str:
    """Markdown: accuracy (%), mean and deviation over the seeds, and paired gains on logistic."""
    lines = []
    for (task, arm, shots), found in sorted(rows_by(rows, "task", "arm", "shots").items()):
        sets = [row for row in found if row["seed"] != TUNING_SEED]
        if sets:
            cells = [spread(list(by_seed(sets, method).values()), 1) for method in METHODS]
            gains = [gain(sets, method) for method in COMPARED]
            lines.append([task, arm, str(shots), *counts(sets), *cells, *gains])
    if not lines:
        return f"no row stands in {rows}, those of seed {TUNING_SEED} (for tuning) left out\n"
    head = ["task", "arm", "shots", "seeds", "draws", *METHODS.values()]
    return markdown([*head, *(f"{METHODS[m]} - logistic" for m in COMPARED)], lines)


def counts(sets: list[dict]) -> tuple[str, str]:
    """How many seeds there are, and draws of each: "10", or "4 to 10" where some lack."""
    seeds = [row["seed"] for row in sets]
    draws = sorted({seeds.count(seed) for seed in seeds})
    return str(len(set(seeds))), " to ".join(str(n) for n in dict.fromkeys((draws[0], draws[-1])))


def by_seed(sets: list[dict], method: str) -> dict[int, float]:
    """{seed: accuracy (%), the mean over its draws}."""
    return {
        seed: float(np.mean([100 * row["accuracy"][method] for row in sets if row["seed"] == seed]))
        for seed in sorted({row["seed"] for row in sets})
    }


def gain(sets: list[dict], method: str) -> str:
    """Points of accuracy above logistic regression, with a 95% interval over the seeds.

    A row, which is one seed and draw, has both accuracies, so that a seed's difference of means is
    the mean of its draws' differences. Draws of one seed share a denoiser and count once together.
    """
    return difference_text(paired_difference(by_seed(sets, "logistic"), by_seed(sets, method)))
