"""Figures of reports and comparisons as PNG bytes; equal inputs give equal bytes."""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from evaluation.metric_table import BETTER_WORDS, Better, cost
from foundation.number_names import number_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ("#0b7285", "#d9480f", "#6741d9", "#2b8a3e", "#c2255c", "#5c940d", "#1864ab", "#a61e4d")
LEGEND_LETTERS = 80
"""Letters, with the marks of the curves, that a line of a legend of SIZE has room for."""
SIZE = (5.6, 3.4)  # inches; pages show it 340 px wide on a phone and 520 px on a desktop


@dataclass(frozen=True)
class Line:
    """One curve: x and y of equal length."""

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    colour: str | None = None
    """None: the next colour of COLOURS."""


def read_curves(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{metric: (nimg, value)} of curves.csv; empty cells are left out."""
    points: dict[str, list[tuple[float, float]]] = {}
    with open(path, newline="") as stream:
        for row in csv.DictReader(stream):
            nimg = float(row.pop("nimg"))
            for name, text in row.items():
                if text:
                    points.setdefault(name, []).append((nimg, float(text)))
    return {name: tuple(np.array(pairs).T) for name, pairs in points.items()}


def line_chart(title: str, lines: Sequence[Line], y_label: str = "") -> bytes:
    """Chart of curves over the images seen, as PNG; long curves with their running mean."""
    with _figure(title) as (figure, axes):
        draw_lines(axes, lines)
        axes.set_ylabel(y_label)
    return png(figure)


def draw_lines(axes: "Axes", lines: Sequence[Line]) -> None:
    """Draw curves over kimg, with the legend of several below the axes' figure."""
    for line, given in zip(lines, _colours(), strict=False):
        colour = line.colour or given
        x = np.asarray(line.x, float) / 1000
        y = np.asarray(line.y, float)
        if len(y) > 80:
            axes.plot(x, y, color=colour, alpha=0.22, linewidth=0.9)
            y = _running_mean(y, len(y) // 30)
        axes.plot(x, y, color=colour, linewidth=2, label=line.label, marker="o" * (len(y) == 1))
    positive = np.concatenate([np.asarray(line.y, float) for line in lines] or [np.ones(1)])
    positive = positive[np.isfinite(positive)]
    if len(positive) and positive.min() > 0 and positive.max() > 8 * positive.min():
        _log_scale(axes)
    places = {float(x) / 1000 for line in lines for x in line.x}
    if len(places) == 1:  # ticks around it would be places where nothing was measured
        axes.set_xticks(list(places), [f"{place:g}" for place in places])
    axes.set_xlabel("images seen, thousands")
    if len(lines) > 1 or (lines and lines[0].colour):
        legend_below(axes)


def legend_below(axes: "Axes") -> None:
    """The legend of these axes, the only ones of their (sub)figure, below them: on no curve."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=1)
    columns = max(1, min(4, len(labels), LEGEND_LETTERS // (longest + 8)))
    axes.figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def length_chart(
    title: str,
    groups: Mapping[str, Sequence[tuple[float, float]]],
    floors: Mapping[str, tuple[float, float]] | None = None,
    better: Better | None = None,
) -> bytes:
    """Chart of a metric over the EMA length, a curve per group, with the floors; as PNG.

    groups: {name: [(EMA length, value), ...]}. floors: {name: (floor, its standard deviation)},
    drawn as a band. better: which way the metric is better; the best point of each curve is ringed.
    """
    with _figure(title) as (figure, axes):
        draw_lengths(axes, groups, floors or {}, better)
        axes.set_ylabel(f"better: {BETTER_WORDS[better]}" if better else "")
    return png(figure)


def draw_lengths(
    axes: "Axes",
    groups: Mapping[str, Sequence[tuple[float, float]]],
    floors: Mapping[str, tuple[float, float]],
    better: Better | None = None,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Draw the curves and bands of `length_chart` on given axes. colours: {name: colour}."""
    drawn_in: dict[str, str] = {}
    for (name, points), given in zip(groups.items(), _colours(), strict=False):
        colour = drawn_in[name] = (colours or {}).get(name, given)
        points = sorted(points)
        x, y = [p[0] for p in points], [p[1] for p in points]
        axes.plot(x, y, color=colour, linewidth=2, marker="o", markersize=6, label=name)
        best = best_point(points, better, floors[name][0] if name in floors else None)
        if best is not None:
            axes.plot(*best, "o", markersize=12, markerfacecolor="none", color=colour)
    shown: set[tuple[float, float]] = set()
    several = len(set(floors.values())) > 1  # else all were judged on one reference
    for name, (floor, deviation) in floors.items():
        if (floor, deviation) not in shown:
            label = "real images" + ", for each" * several if not shown else None
            colour = drawn_in.get(name, MUTED) if several else MUTED
            axes.axhline(floor, color=colour, linewidth=1.4, linestyle="--", label=label)
            low, high = floor - deviation, floor + deviation
            axes.axhspan(low, high, color=colour, alpha=0.15, linewidth=0)
            shown.add((floor, deviation))
    values = [v for points in groups.values() for _, v in points]
    values += [floor - deviation for floor, deviation in floors.values()]
    if values and min(values) > 0 and max(values) > 12 * min(values):
        _log_scale(axes)
    lengths = sorted({x for points in groups.values() for x, _ in points})
    if 0 < len(lengths) <= 8:
        axes.set_xticks(lengths, list(map(number_name, lengths)))
    axes.set_xlabel("EMA length (sigma_rel)")
    legend_below(axes)


def best_point(
    points: Sequence[tuple[float, float]], better: Better | None, floor: float | None
) -> tuple[float, float] | None:
    """The (x, value) of the best value; None if it is not known which way is better."""
    costs = [cost(better, value, floor) for _, value in points]
    known = [
        (found, point) for found, point in zip(costs, points, strict=True) if found is not None
    ]
    return min(known)[1] if known else None


def grid_chart(title: str, grids: Mapping[str, Sequence[float]]) -> bytes:
    """Chart of the noise levels of each sampler's time grid, from high to low; as PNG."""
    figure = new_figure((SIZE[0] * 1.9, 1.0 + 0.4 * len(grids)))
    axes = figure.subplots()
    style(axes, title)
    for row, ((_, levels), colour) in enumerate(zip(grids.items(), _colours(), strict=False)):
        above = [level for level in levels if level > 0]
        axes.plot(above, [row] * len(above), color=colour, marker="o", markersize=5, linewidth=1)
    axes.set_yticks(range(len(grids)), list(grids))
    axes.set_ylim(len(grids) - 0.5, -0.5)
    _log_scale(axes, "x")
    axes.invert_xaxis()
    axes.set_xlabel("noise level sigma, from the first step at the left to the last")
    return png(figure)


@contextmanager
def _figure(title: str) -> "Iterator[tuple[Figure, Axes]]":
    figure = new_figure(SIZE)
    axes = figure.subplots()
    style(axes, title)
    yield figure, axes


def new_figure(size: tuple[float, float]) -> "Figure":
    """A figure outside of pyplot, so without window and global state. size: in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(size, dpi=170, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style(axes: "Axes", title: str = "") -> None:
    """Axes without a box, with a light horizontal grid and the title at the left."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    plain_numbers(axes)
    axes.tick_params(colors=INK, labelsize=11, length=0)
    axes.xaxis.label.set(size=11, color=MUTED)
    axes.yaxis.label.set(size=11, color=MUTED)


def plain_numbers(axes: "Axes") -> None:
    """Tick labels that say their number by themselves: no factor "1e-2" or offset apart."""
    from matplotlib.ticker import ScalarFormatter

    class Plain(ScalarFormatter):
        """0.0012 as it is; all labels in powers of ten where they are far from 1."""

        def __init__(self) -> None:
            super().__init__(useOffset=False)
            self.set_scientific(False)

        def __call__(self, x: float, pos: int | None = None) -> str:
            largest = max((abs(float(tick)) for tick in self.locs), default=abs(x))
            if 0 < largest < 1e-4 or largest >= 1e6:
                return f"{x:g}"
            return super().__call__(x, pos)

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(Plain())


def png(figure: "Figure") -> bytes:
    """The figure as PNG, without a date or a version in it, and its texts letter by letter."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # $...$ in a user's name is no formula
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _log_scale(axes: "Axes", which: Literal["x", "y"] = "y") -> None:
    """A logarithmic axis with plain numbers: 0.05, 0.1, 0.2 over few decades, else 0.01, 0.1, 1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log") if which == "x" else axes.set_yscale("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    steps = (1.0, 2.0, 5.0) if high < 300 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _colours() -> Iterator[str]:
    return itertools.cycle(COLOURS)


def _running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over the last `width` values (fewer at the start)."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    return (total[last] - total[first]) / (last - first)
