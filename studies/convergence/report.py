"""Tables and the figure of the study, from its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.convergence.arms import ARMS, QUESTIONS
from studies.convergence.time_to_quality import Ratio, ratio, reached
from studies.tables import markdown, rows_by, spread

HEAD = [
    *("arm", "rate", "kimg", "seeds", "final loss", "images sooner", "seconds sooner"),
    *("FD", "KID", "recall"),
]
NOTE = (
    "images, seconds sooner: how many times sooner than its control the arm reaches the control's "
    "final held-out loss for good (geometric mean over seeds, 95% interval; above 1 is sooner)."
)


def tables(folder: Path) -> str:
    """Markdown: one table for each question that has rows, each arm beside its control."""
    found = rows_by(folder, "arm", "kimg", "lr")
    if not found:
        return f"no row stands in {folder}\n"
    parts = []
    for question, names in QUESTIONS.items():
        lines = [
            _line(name, kimg, lr, rows, _controls(name, kimg, found))
            for wanted in names
            for (name, kimg, lr), rows in sorted(found.items())
            if name == wanted
        ]
        if lines:
            parts.append(f"**{question}**\n\n{markdown(HEAD, lines)}")
    return "\n".join(parts) + f"\n{NOTE}\n"


def _controls(name: str, kimg: float, found: dict[tuple, list[dict]]) -> dict[int, dict]:
    """{seed: row of the arm's control}, at the control's own rate."""
    control = ARMS[name].control
    return {row["seed"]: row for row in found.get((control, kimg, ARMS[control].lr), [])}


def _line(
    name: str, kimg: float, lr: float, rows: list[dict], controls: dict[int, dict]
) -> list[str]:
    pairs = [(row, controls[row["seed"]]) for row in rows if row["seed"] in controls]
    sooner = [_text(sooner_than(pairs, by)) for by in ("nimg", "seconds")]
    final = [row["points"][-1] for row in rows]
    metrics = [
        spread([point["metrics"][key] for point in final if "metrics" in point], digits)
        for key, digits in (("fd", 3), ("kid", 4), ("recall", 3))
    ]
    loss = spread([point["loss"] for point in final], 4)
    return [name, f"{lr:g}", f"{kimg:g}", str(len(rows)), loss, *sooner, *metrics]


def sooner_than(pairs: Sequence[tuple[dict, dict]], by: str) -> Ratio | None:
    """How many times sooner arms are than their controls; None without pairs.

    pairs: (row of the arm, row of its control) of each seed; by: nimg or seconds.
    """
    times = []
    for arm, control in pairs:
        quality = control["points"][-1]["loss"]
        own, other = (_reached(row["points"], by, quality) for row in (control, arm))
        assert own is not None, "a run reaches its own last loss"
        times.append((own, other))
    return ratio(times) if times else None


def _reached(points: Sequence[dict[str, Any]], by: str, quality: float) -> float | None:
    return reached([p[by] for p in points], [p["loss"] for p in points], quality)


def _text(found: Ratio | None) -> str:
    return "" if found is None else str(found)


def draw(folder: Path, names: Sequence[str], path: Path) -> None:
    """A picture: held-out loss over images and over seconds, a line for each arm and seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = rows_by(folder, "arm")
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for number, name in enumerate(names):
        for count, row in enumerate(found.get((name,), [])):
            points = row["points"][1:]  # the first is far above all others
            for axis, by, scale in ((axes[0], "nimg", 1000), (axes[1], "seconds", 60)):
                axis.plot(
                    [p[by] / scale for p in points],
                    [p["loss"] for p in points],
                    color=f"C{number}",
                    linewidth=1.2,
                    label=name if not count else None,
                )
    axes[0].set_xlabel("images seen (thousands)")
    axes[1].set_xlabel("processor time (minutes)")
    axes[0].set_ylabel("held-out loss")
    axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
