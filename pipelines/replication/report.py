"""Mean, standard deviation and paired differences over seeds, as tables and as a figure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from evaluation.metric_table import metric_entry, shown
from evaluation.paired_statistics import (
    CONFIDENCE,
    Difference,
    MeanAndDeviation,
    difference_text,
    mean_and_deviation,
    mean_text,
    paired_difference,
)
from pipelines.reporting.figures import COLOURS, INK, MUTED, new_figure, png, style


@dataclass(frozen=True)
class Result:
    """The metrics of one seed of one variant."""

    variant: str
    seed: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Summary:
    """Statistics over seeds; the other variants are compared with the first.

    Both mappings are {metric: {variant: ...}}.
    """

    variants: list[str]
    spreads: dict[str, dict[str, MeanAndDeviation]]
    """Mean and standard deviation; the field's name is also the key in summary.json."""
    differences: dict[str, dict[str, Difference]]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for summary.json."""
        return {"schema": 1, "confidence": CONFIDENCE, **asdict(self)}


def summarise(results: Sequence[Result]) -> Summary:
    """The statistics of every metric that was measured."""
    variants = list(dict.fromkeys(result.variant for result in results))
    metrics = list(dict.fromkeys(name for result in results for name in result.metrics))
    spreads: dict[str, dict[str, MeanAndDeviation]] = {}
    differences: dict[str, dict[str, Difference]] = {}
    for metric in metrics:
        values = {v: _by_seed(results, v, metric) for v in variants}
        spreads[metric] = {
            v: mean_and_deviation(list(found.values())) for v, found in values.items() if found
        }
        pairs = {v: paired_difference(values[variants[0]], values[v]) for v in variants[1:]}
        differences[metric] = {v: pair for v, pair in pairs.items() if pair is not None}
    return Summary(variants, spreads, differences)


def print_tables(summary: Summary, console: Console | None = None) -> None:
    """Print mean ± standard deviation of each variant, then the paired differences."""
    console = console or Console()
    console.print("mean ± standard deviation over seeds")
    table = Table(box=None, header_style="bold")
    table.add_column("metric")
    for variant in summary.variants:
        table.add_column(variant, justify="right", overflow="fold")
    for metric, found in summary.spreads.items():
        table.add_row(metric, *(mean_text(found.get(v)) for v in summary.variants))
    console.print(table)
    if len(summary.variants) < 2:
        return
    console.print()
    console.print(
        f"paired difference from {summary.variants[0]} with its 95% t interval "
        "(*: it leaves 0 out)",
        soft_wrap=True,
    )
    table = Table(box=None, header_style="bold")
    table.add_column("metric")
    for variant in summary.variants[1:]:
        table.add_column(variant, justify="right", overflow="fold")
    for metric, pairs in summary.differences.items():
        table.add_row(metric, *(difference_text(pairs.get(v)) for v in summary.variants[1:]))
    console.print(table)


def write_figure(summary: Summary, results: Sequence[Result], path: Path) -> None:
    """Draw each seed's values over the variants, with mean and 95% interval of each variant."""
    from scipy import stats

    known = [name for name in shown("replicate") if name in summary.spreads]
    metrics = known or list(summary.spreads)[:6]
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = new_figure((1.2 + 3.0 * columns, 3.2 * rows))
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes in panels[len(metrics) :]:
        axes.remove()
    x_of = {variant: x for x, variant in enumerate(summary.variants)}
    for axes, metric in zip(panels, metrics, strict=False):
        style(axes, metric_entry(metric).title)
        for seed in sorted({result.seed for result in results}):
            points = [
                (x_of[r.variant], r.metrics[metric])
                for r in results
                if r.seed == seed and metric in r.metrics
            ]
            points.sort()
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=MUTED,
                alpha=0.5,
                marker="o",
                markersize=4,
                linewidth=1,
            )
        for variant, found in summary.spreads[metric].items():
            x, colour = x_of[variant], COLOURS[x_of[variant] % len(COLOURS)]
            if found.sd is not None:
                quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, found.n - 1))
                reach = quantile * found.sd / math.sqrt(found.n)
                axes.errorbar(x, found.mean, reach, color=colour, capsize=5, linewidth=2)
            axes.plot(x, found.mean, "D", color=colour, markersize=8, zorder=3)
        labels = [_label(variant) for variant in summary.variants]
        axes.set_xticks(range(len(labels)), labels, fontsize=9, color=INK)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    figure.supxlabel("grey: seeds; diamonds: mean with its 95% interval", fontsize=9, color=MUTED)
    path.write_bytes(png(figure))


def _label(variant: str) -> str:
    """ "structure.kind=none train.lr=0.1" -> "none\\n0.1"."""
    return "\n".join(word.partition("=")[2] or word for word in variant.split(" "))


def _by_seed(results: Sequence[Result], variant: str, metric: str) -> dict[int, float]:
    """Finite values of one metric of one variant."""
    return {
        r.seed: r.metrics[metric]
        for r in results
        if r.variant == variant and math.isfinite(r.metrics.get(metric, math.nan))
    }
