"""Draws the comparison of runs as a PNG and as a self-contained HTML page."""

import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from evaluation.judged_alike import DATA, SAYS
from evaluation.metric_table import metric_entry, shown
from pipelines.comparison.runs import (
    Compared,
    judging_rows,
    metric_rows,
    own_floors,
    param_rows,
    run_notes,
)
from pipelines.comparison.short_names import short_names
from pipelines.comparison.views import BEST, equal_line, views
from pipelines.reporting.figures import (
    COLOURS,
    Line,
    draw_lengths,
    draw_lines,
    new_figure,
    png,
    style,
)
from pipelines.reporting.html import details, facts, figure, grid, page, section, table, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


STYLE = """<style>
.wrapping th, .wrapping td { white-space: pre-line !important; overflow-wrap: anywhere; }
.wrapping td:first-child, .wrapping th:first-child { overflow-wrap: normal; min-width: 7rem; }
.wrapping td.number { min-width: 5.5rem; }
.words th, .words td { white-space: normal !important; }
</style>"""
"""Cells of a table with a column for each run wrap, so that its last column is on the page."""


def draw(runs: Sequence[Compared], item: str | None = None) -> bytes:
    """PNG of the comparison: curves, metrics over the EMA length, samples side by side.

    item: show samples of this one; None: as `views` chooses, a row of pictures for each view.
    """
    panels = _charts(runs)[:6]
    pictures = [found for _, shown in views(runs, item) if (found := _samples(shown))]
    columns = 2
    chart_rows = -(-len(panels) // columns)
    heights = [3.2] * chart_rows + [4.6] * len(pictures)
    overall = new_figure((5.4 * max(columns, min(len(runs), 4)), max(sum(heights), 2.0)))
    if not heights:
        return png(overall)
    parts = overall.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row in range(chart_rows):
        in_row = parts[row].subfigures(1, columns, squeeze=False)[0]
        for part, panel in zip(in_row, panels[row * columns :], strict=False):
            _draw_panel(part.subplots(), panel)
    for part, row_of_pictures in zip(parts[chart_rows:], pictures, strict=True):
        in_row = part.subplots(1, len(row_of_pictures), squeeze=False)[0]
        for axes, (title, data) in zip(in_row, row_of_pictures, strict=True):
            image = Image.open(io.BytesIO(data))
            axes.imshow(np.asarray(image), cmap="gray", interpolation="nearest")
            axes.set_title(title, loc="left", fontsize=11)
            axes.set_axis_off()
    return png(overall)


def render(runs: Sequence[Compared], item: str | None = None) -> str:
    """The comparison as an HTML page. item: as for `draw`."""
    names = [run.name for run in runs]
    short = short_names(names)
    differing = judging_rows(runs)
    changed = param_rows(runs)
    charts = [figure(_chart_png(panel), "", panel[0]) for panel in _charts(runs)]
    return page(
        " against ".join(names),
        [
            STYLE,
            '<header><p class="kicker">Comparison</p><h1>What differs</h1></header>',
            _about(runs, short),
            section(
                "Params that differ",
                "" if changed else "None: the runs differ in data or code.",
                _wrapping(table(("param", *short), changed)) or "<p></p>",
            ),
            section(
                "Judged differently",
                "Metrics can be compared if all of this is equal.",
                _wrapping(table(("judged by", *short), differing)),
            ),
            *(_metrics(what, shown, bool(differing)) for what, shown in views(runs, item)),
            section("Curves", "", grid(*charts)),
            section(
                "Samples",
                _seed_note(runs),
                *(
                    grid(*(figure(data, title, title) for title, data in _samples(shown)))
                    for _, shown in views(runs, item)
                ),
            ),
            section(
                "Everything",
                "",
                *(details(f"All params of {run.name}", facts(run.params)) for run in runs),
            ),
        ],
    )


def _about(runs: Sequence[Compared], short: Sequence[str]) -> str:
    """What each run is, what it is called on the page, and whether its game moved nothing."""
    head = ("called", "run", "status", "game", "preset", "experiment", "commit", "id")
    rows, changed = [], []
    for run, name in zip(runs, short, strict=True):
        tags = ("structure.kind", "preset", "dvc.experiment", "git.commit")
        facts = [(run.tags.get(tag) or "-")[:12] for tag in tags]
        if run.tags.get("git.dirty") == "true":
            facts[-1] += "+"
            changed.append(f"{name}: {run.tags.get('git.changed') or 'not known which'}")
        rows.append((name, run.name, run.status, *facts, run.run_id[:8]))
    notes = [f'<p class="note">{text(note)}</p>' for note in run_notes(runs)]
    note = f"+: files that differed from the commit ({'; '.join(changed)})." if changed else ""
    return section("Runs", note, f'<div class="words">{table(head, rows)}</div>', *notes)


def _metrics(what: str, runs: Sequence[Compared], apart: bool) -> str:
    """The table of metrics of one view."""
    head, rows = metric_rows(runs, apart)
    body = _wrapping(table(head, rows, numeric=tuple(range(1, len(head)))))
    title = "Metrics" if what == BEST else f"Metrics of {what}"
    return section(title, _metrics_note(what, runs, apart), body)


def _metrics_note(what: str, runs: Sequence[Compared], apart: bool) -> str:
    shown = f"{what[0].upper()}{what[1:]}"
    floor = "the metric between real images and other real images"
    if apart:
        return (
            f"{shown}, with its own floor in brackets: {floor}. The runs were not judged alike, so "
            "these numbers cannot be compared."
        )
    equal = equal_line(runs)
    if equal:
        return equal
    told = "for two runs the difference is also given in its standard deviations."
    if own_floors(runs):
        return f"{shown}, with its own floor in brackets: {floor}; {told}"
    return f"{shown}. The floor is {floor}; {told}"


def _wrapping(inner: str) -> str:
    return f'<div class="wrapping">{inner}</div>' if inner else ""


def _charts(runs: Sequence[Compared]) -> list[tuple[str, str, dict]]:
    """(title, "curves" or "lengths", arguments) of each chart for which any run has data."""
    curves = []
    names = short_names([run.name for run in runs])
    for name in shown("comparison curve"):
        lines = [
            Line(short, *run.curves[name], colour)
            for run, short, colour in zip(runs, names, itertools.cycle(COLOURS), strict=False)
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
    several = len({item.rpartition("-")[2] for run in runs for item in run.own_items}) > 1
    names = short_names([run.name for run in runs])
    for run, short in zip(runs, names, strict=True):
        for item, values in run.own_items.items():
            length, _, sampler = item.rpartition("-")  # 1e-05 has a dash, a sampler none
            label = f"{short}, {sampler}" if several else short
            if name in values:
                groups.setdefault(label, []).append((float(length), values[name]))
            if f"{name}_floor" in values:
                floor = values[f"{name}_floor"], values.get(f"{name}_floor_std", 0.0)
                floors[label] = floor
    if not several:
        colours = {name: c for name, c in zip(names, itertools.cycle(COLOURS), strict=False)}
    about = metric_entry(name)
    data = {"groups": groups, "floors": floors, "colours": colours, "better": about.better}
    return (about.title, "lengths", data) if groups else None


def _draw_panel(axes: "Axes", panel: tuple[str, str, dict]) -> None:
    title, kind, arguments = panel
    style(axes, title)
    if kind == "curves":
        draw_lines(axes, **arguments)
    else:
        draw_lengths(axes, **arguments)


def _chart_png(panel: tuple[str, str, dict]) -> bytes:
    sheet = new_figure((5.6, 3.4))
    _draw_panel(sheet.subplots(), panel)
    return png(sheet)


def _samples(runs: Sequence[Compared]) -> list[tuple[str, bytes]]:
    """(title, PNG) of each run: samples of the first run's item, or else of its own one."""
    shared = runs[0].item
    items = [shared if shared in run.samples else run.item for run in runs]
    return [
        (f"{name}: {item}", run.samples[item])
        for run, name, item in zip(
            runs, short_names([run.name for run in runs]), items, strict=True
        )
        if item is not None and item in run.samples
    ]


def _seed_note(runs: Sequence[Compared]) -> str:
    if any(row[0] == SAYS[DATA] for row in judging_rows(runs)):
        return "The data differ, so the pictures show other classes and other noise."
    if len({run.params.get("seed") for run in runs}) > 1:
        return "The seeds differ, so the pictures show other noise."
    return "The same seeds: each tile shows what a run makes of the same noise and label."
