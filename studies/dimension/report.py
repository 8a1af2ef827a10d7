"""Tables and the figure of the study, from its rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.reporting.figures import COLOURS, INK, new_figure, png, style
from studies.tables import markdown

TITLES = {
    "E1": "round trip: noised to a level and drawn back",
    "E2": "squared distances to k-th neighbours, over those between real images",
    "E3": "against the number of images and of neighbours",
    "E4": "generated over real variance along principal axes",
    "E5": "guided by an earlier time of the same training",
    "E6": "along a training",
}


def tables(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: one table for each experiment and sampler."""
    parts = []
    for row in rows:
        name, lines = row["experiment"], row["rows"]
        parts.append(f"{name}, {row['sampler']} ({TITLES[name]}; {row['images']} images)\n")
        if lines:
            head = list(lines[0])
            cells = [[_text(line[key]) for key in head] for line in lines]
            parts.append(markdown(head, cells))
        else:
            parts.append("nothing to measure: no weights were named, or too few images drawn\n")
        if "slope" in row:
            parts.append(f"slope of log(ratio - 1) against log(radius): {row['slope']:.2f}\n")
        if "fine_energy" in row:
            energy = row["fine_energy"]
            parts.append("energy of fine detail, generated over real, by quantile:\n")
            parts.append(markdown(list(energy), [[f"{value:.3f}" for value in energy.values()]]))
    return "\n".join(parts)


def draw(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """PNG: ratio of dimensions by level (E1) and by radius (E3), variance along axes (E4)."""
    figure = new_figure((10.0, 3.4))
    panels = figure.subplots(1, 3)
    labels = ("noise level", "radius", "principal axis")
    shown = zip(panels, ("E1", "E3", "E4"), labels, strict=True)
    for axes, name, label in shown:
        what = "variance ratio" if name == "E4" else "ratio of dimensions"
        style(axes, what)
        own = [row for row in rows if row["experiment"] == name and row["rows"]]
        for colour, row in zip(COLOURS, own, strict=False):
            x = "level" if name == "E1" else "radius" if name == "E3" else "last"
            points = sorted((line[x], line["ratio"]) for line in row["rows"])
            axes.plot(*zip(*points, strict=True), "o-", color=colour, label=row["sampler"])
        axes.axhline(1, color=INK, linewidth=0.6)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        if own:
            axes.legend(fontsize=8)
    return png(figure)


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
