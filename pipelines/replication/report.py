"""Mean, standard deviation and paired differences over seeds, as tables and as a figure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from evaluation.judged_alike import Value, judged_differently
from evaluation.metric_table import shown
from evaluation.paired_statistics import (
    CONFIDENCE,
    Difference,
    MeanAndDeviation,
    difference_text,
    mean_and_deviation,
    mean_text,
    paired_difference,
)
from foundation.atomic_files import write_bytes
from pipelines.console.terminal import terminal
from pipelines.replication.student_items import metric_title
from pipelines.replication.variant_names import common_settings, settings_of, short_variants
from pipelines.reporting.figures import COLOURS, INK, MUTED, new_figure, png, style
from pipelines.reporting.html import number
from pipelines.reporting.terminal_tables import print_by_run


@dataclass(frozen=True)
class Result:
    """The metrics of one seed of one variant."""

    variant: str
    seed: int
    metrics: dict[str, float]
    floors: dict[str, float] = field(default_factory=dict)
    judged_by: dict[str, Value] = field(default_factory=dict)
    """What must be equal for metrics to be compared (evaluation/judged_alike.py)."""
    game_note: str | None = None
    """A line if its game moved nothing."""


@dataclass(frozen=True)
class Summary:
    """Statistics over seeds; the other variants are compared with the first.

    The mappings are {metric: {variant: ...}}.
    """

    variants: list[str]
    spreads: dict[str, dict[str, MeanAndDeviation]]
    """Mean and standard deviation; the field's name is also the key in summary.json."""
    differences: dict[str, dict[str, Difference]]
    """None of a metric if the variants were not judged alike."""
    floors: dict[str, dict[str, float]]
    """Mean over seeds of the metric between real images and other real images."""
    judged_differently: list[list[str]]
    """Rows [what, its value in each variant] of all in which judgements differ."""
    notes: list[str]
    """A line for each variant whose game moved nothing, or whose results equal the first's."""
    equal: list[str]
    """Variants that equal the first in every digit of every metric of every seed."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for summary.json."""
        return {"schema": 1, "confidence": CONFIDENCE, **asdict(self)}


def summarise(results: Sequence[Result]) -> Summary:
    """The statistics of every metric that was measured."""
    variants = list(dict.fromkeys(result.variant for result in results))
    metrics = list(dict.fromkeys(name for result in results for name in result.metrics))
    spreads: dict[str, dict[str, MeanAndDeviation]] = {}
    differences: dict[str, dict[str, Difference]] = {}
    apart = _judging_rows(results, variants)
    floors = {
        metric: {v: mean for v in variants if (mean := _mean_floor(results, v, metric)) is not None}
        for metric in metrics
    }
    for metric in metrics:
        values = {v: _by_seed(results, v, metric) for v in variants}
        spreads[metric] = {
            v: mean_and_deviation(list(found.values())) for v, found in values.items() if found
        }
        pairs = {v: paired_difference(values[variants[0]], values[v]) for v in variants[1:]}
        kept = {v: pair for v, pair in pairs.items() if pair is not None}
        differences[metric] = {} if apart else kept
    equal = [] if apart else [v for v in variants[1:] if _equals(results, variants[0], v)]
    notes = _notes(results, variants, equal)
    return Summary(variants, spreads, differences, floors, apart, notes, equal)


def print_tables(summary: Summary, console: Console | None = None) -> None:
    """Print mean ± standard deviation of each variant, then the paired differences.

    Variants that were not judged alike have their own floors in brackets, and no differences.
    """
    console = console or terminal()
    variants, apart = summary.variants, bool(summary.judged_differently)
    short = dict(zip(variants, short_variants(variants), strict=True))
    common = common_settings(variants)
    if common:
        said = f"in all variants: {' '.join(common)}"
        console.print(said, soft_wrap=True, highlight=False, markup=False)
    rows = []
    for metric, found in summary.spreads.items():
        floors = summary.floors.get(metric, {})
        cells = [mean_text(found.get(v)) for v in variants]
        if apart:
            pairs = zip(cells, (floors.get(v) for v in variants), strict=True)
            cells = [f"{cell}\n({number(floor)})" for cell, floor in pairs]
        else:
            cells.append(number(next(iter(floors.values()), None)))
        rows.append([metric_title(metric), *cells])
    title = "mean ± standard deviation over seeds"
    if apart:
        print_judging(summary, console)
        title += "; in brackets the floor of each, so not to be compared"
    head = ["metric", *short.values(), *([] if apart else ["real images"])]
    print_by_run(console, title, head, rows, len(variants))
    for note in summary.notes:
        console.print(note, soft_wrap=True, highlight=False)
    others = [v for v in variants[1:] if v not in summary.equal]
    if apart or not others:
        return
    title = (
        f"paired difference from {short[variants[0]]} with its 95% t interval (*: it leaves 0 out)"
    )
    rows = [
        [metric_title(metric), *(difference_text(pairs.get(v)) for v in others)]
        for metric, pairs in summary.differences.items()
    ]
    print_by_run(console, title, ["metric", *(short[v] for v in others)], rows, len(others))


def print_judging(summary: Summary, console: Console | None = None) -> None:
    """Print in what the judgements of the variants differ."""
    head, rows = ["judged by", *short_variants(summary.variants)], summary.judged_differently
    print_by_run(console or terminal(), "judged differently", head, rows, len(summary.variants))


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
        style(axes, metric_title(metric))
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
                linewidth=0 if summary.judged_differently else 1,  # no line: no comparison
            )
        for variant, found in summary.spreads[metric].items():
            x, colour = x_of[variant], COLOURS[x_of[variant] % len(COLOURS)]
            if found.sd is not None:
                quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, found.n - 1))
                reach = quantile * found.sd / math.sqrt(found.n)
                axes.errorbar(x, found.mean, reach, color=colour, capsize=5, linewidth=2)
            axes.plot(x, found.mean, "D", color=colour, markersize=8, zorder=3)
        labels = [_label(variant) for variant in short_variants(summary.variants)]
        axes.set_xticks(range(len(labels)), labels, fontsize=9, color=INK)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    figure.supxlabel("grey: seeds; diamonds: mean with its 95% interval", fontsize=9, color=MUTED)
    write_bytes(path, png(figure))


def _label(variant: str) -> str:
    """ "structure.kind=none train.lr=0.1" -> "none\\n0.1"."""
    return "\n".join(word.partition("=")[2] or word for word in settings_of(variant))


def _by_seed(results: Sequence[Result], variant: str, metric: str) -> dict[int, float]:
    """Finite values of one metric of one variant."""
    return {
        r.seed: r.metrics[metric]
        for r in results
        if r.variant == variant and math.isfinite(r.metrics.get(metric, math.nan))
    }


def _mean_floor(results: Sequence[Result], variant: str, metric: str) -> float | None:
    """Mean over seeds of the floor of one metric of one variant; None without any."""
    found = [r.floors[metric] for r in results if r.variant == variant and metric in r.floors]
    return float(np.mean(found)) if found else None


def _judging_rows(results: Sequence[Result], variants: Sequence[str]) -> list[list[str]]:
    """Rows of `judged_differently` with a column for each variant, whose seeds may differ too."""
    rows = judged_differently([result.judged_by for result in results])
    out = []
    for what, *values in rows:
        by_variant: dict[str, list[str]] = {variant: [] for variant in variants}
        for result, value in zip(results, values, strict=True):
            if value not in by_variant[result.variant]:
                by_variant[result.variant].append(value)
        out.append([what, *(" or ".join(found) for found in by_variant.values())])
    return out


def _equals(results: Sequence[Result], first: str, other: str) -> bool:
    """Whether two variants have equal metrics in every seed that both have, and there is one."""
    one = {r.seed: r.metrics for r in results if r.variant == first}
    two = {r.seed: r.metrics for r in results if r.variant == other}
    common = one.keys() & two.keys()
    return bool(common) and all(one[seed] == two[seed] for seed in common)


def _notes(results: Sequence[Result], variants: Sequence[str], equal: Sequence[str]) -> list[str]:
    out = []
    for variant in variants:
        told: dict[str, list[str]] = {}
        for result in results:
            if result.variant == variant and result.game_note:
                told.setdefault(result.game_note, []).append(str(result.seed))
        out += [f"{variant} (seed {', '.join(seeds)}): {note}" for note, seeds in told.items()]
        if variant in equal:
            out.append(f"{variant}: equal to {variants[0]} in every digit of every metric and seed")
    return out
