"""Draws the comparison of runs as a PNG and as a self-contained HTML page."""

import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from evaluation.metric_table import metric_entry, shown
from pipelines.comparison.runs import Compared, metric_rows, param_rows
from pipelines.reporting.figures import (
    COLOURS,
    Line,
    draw_lengths,
    draw_lines,
    new_figure,
    png,
    style,
)
from pipelines.reporting.html import details, facts, figure, grid, page, section, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(runs: Sequence[Compared]) -> bytes:
    """PNG of the comparison: curves, metrics over the EMA length, samples side by side."""
    panels = _charts(runs)[:6]
    pictures = _samples(runs)
    columns = 2
    chart_rows = -(-len(panels) // columns)
    heights = [3.2] * chart_rows + ([4.6] if pictures else [])
    overall = new_figure((5.4 * max(columns, min(len(runs), 4)), max(sum(heights), 2.0)))
    if not heights:
        return png(overall)
    parts = overall.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row in range(chart_rows):
        in_row = parts[row].subplots(1, columns, squeeze=False)[0]
        for axes, panel in zip(in_row, panels[row * columns :], strict=False):
            _draw_panel(axes, panel, outside=False)
        for axes in in_row[len(panels) - row * columns :]:
            axes.set_visible(False)
    if pictures:
        in_row = parts[-1].subplots(1, len(pictures), squeeze=False)[0]
        for axes, (title, data) in zip(in_row, pictures, strict=True):
            image = Image.open(io.BytesIO(data))
            axes.imshow(np.asarray(image), cmap="gray", interpolation="nearest")
            axes.set_title(title, loc="left", fontsize=11)
            axes.set_axis_off()
    return png(overall)


def render(runs: Sequence[Compared]) -> str:
    """The comparison as an HTML page."""
    names = [run.name for run in runs]
    head, rows = metric_rows(runs)
    changed = param_rows(runs)
    shown = ("structure.kind", "preset", "dvc.experiment", "git.commit", "git.dirty")
    about = [
        (run.name, run.status, *((run.tags.get(tag) or "-")[:12] for tag in shown), run.run_id[:8])
        for run in runs
    ]
    note = (
        "The best item of each run. The floor is the metric between real images and other real "
        "images; for two runs the difference is also given in its standard deviations."
    )
    charts = [figure(_chart_png(panel), "", panel[0]) for panel in _charts(runs)]
    return page(
        " against ".join(names),
        [
            '<header><p class="kicker">Comparison</p><h1>What differs</h1></header>',
            section("Runs", "", table(("run", "status", "game", *shown[1:], "id"), about)),
            section(
                "Params that differ",
                "" if changed else "None: the runs differ in data or code.",
                table(("param", *names), changed) or "<p></p>",
            ),
            section("Metrics", note, table(head, rows, numeric=tuple(range(1, len(head))))),
            section("Curves", "", grid(*charts)),
            section(
                "Samples",
                _seed_note(runs),
                grid(*(figure(data, title, title) for title, data in _samples(runs))),
            ),
            section(
                "Everything",
                "",
                *(details(f"All params of {run.name}", facts(run.params)) for run in runs),
            ),
        ],
    )


def _charts(runs: Sequence[Compared]) -> list[tuple[str, str, dict]]:
    """(title, "curves" or "lengths", arguments) of each chart for which any run has data."""
    curves = []
    for name in shown("comparison curve"):
        lines = [
            Line(run.name, *run.curves[name], colour)
            for run, colour in zip(runs, itertools.cycle(COLOURS), strict=False)
            if run.curves.get(name, ([], []))[0]
        ]
        if lines:
            curves.append((metric_entry(name).title, "curves", {"lines": lines}))
    lengths = [chart for name in shown("length chart") if (chart := _length_chart(runs, name))]
    return curves[:2] + lengths + curves[2:]


def _length_chart(runs: Sequence[Compared], name: str) -> tuple[str, str, dict] | None:
    """Chart of a metric over the EMA length, a curve per run and sampler; None without data."""
    groups: dict[str, list[tuple[float, float]]] = {}
    floors, colours = {}, {}
    several = len({item.rpartition("-")[2] for run in runs for item in run.items}) > 1
    for run in runs:
        for item, values in run.items.items():
            length, _, sampler = item.rpartition("-")  # 1e-05 has a dash, a sampler none
            label = f"{run.name}, {sampler}" if several else run.name
            if name in values:
                groups.setdefault(label, []).append((float(length), values[name]))
            if f"{name}_floor" in values:
                floor = values[f"{name}_floor"], values.get(f"{name}_floor_std", 0.0)
                floors[label] = floor
    if not several:
        colours = {run.name: c for run, c in zip(runs, itertools.cycle(COLOURS), strict=False)}
    about = metric_entry(name)
    data = {"groups": groups, "floors": floors, "colours": colours, "better": about.better}
    return (about.title, "lengths", data) if groups else None


def _draw_panel(axes: "Axes", panel: tuple[str, str, dict], outside: bool = True) -> None:
    title, kind, arguments = panel
    style(axes, title)
    if kind == "curves":
        draw_lines(axes, outside=outside, **arguments)
    else:
        draw_lengths(axes, **arguments)


def _chart_png(panel: tuple[str, str, dict]) -> bytes:
    sheet = new_figure((5.6, 3.4))
    _draw_panel(sheet.subplots(), panel)
    return png(sheet)


def _samples(runs: Sequence[Compared]) -> list[tuple[str, bytes]]:
    """(title, PNG) of each run: samples of the first run's best item, or else of its own best."""
    shared = runs[0].best
    items = [shared if shared in run.samples else run.best for run in runs]
    return [
        (f"{run.name}: {item}", run.samples[item])
        for run, item in zip(runs, items, strict=True)
        if item is not None and item in run.samples
    ]


def _seed_note(runs: Sequence[Compared]) -> str:
    if len({run.params.get("seed") for run in runs}) > 1:
        return "The seeds differ, so the pictures show other noise."
    return "The same seeds: each tile shows what a run makes of the same noise and label."
