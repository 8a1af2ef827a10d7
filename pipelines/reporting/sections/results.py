"""Sections of numbers: the metrics of the best setting, and all settings side by side."""

from collections.abc import Sequence
from html import escape

from evaluation.metric_table import TABLE, better_sentence, metric_entry, shown
from foundation.number_names import number_name
from pipelines.reporting.figures import grid_chart, length_chart
from pipelines.reporting.html import Html, figure, grid, number, section, table, with_deviation
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.rough_averages import rough_averages
from pipelines.reporting.stage_outputs import Item, Metric

FAR = 3.0
"""From so many deviations of its floor on, a metric is told to lie off it."""


def metrics(best: Item) -> str:
    """All metrics of the best setting, each with its meaning, its floor and which way is better."""
    rows = []
    for name in _in_order(best):
        metric = best.metrics[name]
        about = metric_entry(name, best.metric_name)
        words = [about.says, better_sentence(about.better)]
        if metric.resolvable is False:
            words.append(f"Not resolved with {best.n} images on each side.")
        said = escape(" ".join(filter(None, words)))
        title = Html(f"{escape(about.title)}<small>{said}</small>")
        value = with_deviation(metric.value, metric.std)
        rows.append((title, value, with_deviation(metric.floor, metric.floor_std)))
    note = (
        f"Generated: {best.n} generated images beside as many held-out ones. Real, the floor: the "
        "same metric with training images in place of the generated ones, which is what a perfect "
        "model would reach. ± is the standard deviation over random draws of images; it says "
        "nothing of how results vary from one training seed to another."
    )
    if apart := off_their_floors(best):
        note += f" Further than {FAR:g} of the floor's deviations from it: {', '.join(apart)}."
    listing = table(("metric", "generated", "real (floor)"), rows, numeric=(1, 2))
    setting = f"EMA length {number_name(best.ema_length)}, sampler “{best.sampler}”"
    return section(f"All metrics of the best setting ({setting})", note, listing)


def off_their_floors(best: Item) -> list[str]:
    """Titles of the metrics that lie further than FAR deviations from their floors."""
    return [
        metric_entry(name, best.metric_name).title
        for name in _in_order(best)
        if (metric := best.metrics[name]).value is not None
        and metric.floor is not None
        and metric.floor_std
        and metric_entry(name).better is not None
        and abs(metric.value - metric.floor) > FAR * metric.floor_std
    ]


def _in_order(item: Item) -> list[str]:
    """The item's metrics in the order of the table of metrics, others last."""
    return sorted(item.metrics, key=[*TABLE, *item.metrics].index)


def settings(inputs: Inputs, best: Item) -> str:
    """Every EMA length and sampler: charts, a table, and the samplers' noise levels."""
    charts = length_charts(inputs.items) if len(inputs.items) > 1 else {}
    figures = [figure(png, "", f"{name} over the EMA length") for name, png in charts.items()]
    measured = {name for item in inputs.items for name in item.metrics}
    names = [name for name in shown("tile") if name in measured]
    titles = [metric_entry(name, best.metric_name).title for name in names]
    rows = [
        (
            number_name(item.ema_length),
            item.sampler,
            item.evaluations,
            *(number(item.value(n)) for n in names),
        )
        for item in inputs.items
    ]
    listing = table(
        ("EMA length", "sampler", "evaluations", *titles),
        rows,
        numeric=tuple(range(2, 3 + len(names))),
        best=list(inputs.items).index(best),
    )
    grids = {item.sampler: item.sigmas for item in inputs.items if item.sigmas}
    title = "Noise levels at which each sampler evaluates"
    drawn = figure(grid_chart(title, grids), "", title) if grids else ""
    return section("EMA length and sampler", _note(inputs), grid(*figures), listing, drawn)


def _note(inputs: Inputs) -> str:
    lines = [
        "Sampling uses a moving average (EMA) of the weights. Its length is chosen here, after "
        "training, as a share of the training's length (sigma_rel): a longer average is smoother "
        "and lags behind. The shaded row is the best by KID; a ring marks the best point of a "
        "curve, a grey band the floor ± its standard deviation. “Evaluations” are those of the "
        "network for one image."
    ]
    kids = [kid for item in inputs.items if (kid := item.value("kid")) is not None]
    if len(inputs.items) > 1 and kids:
        least = min(inputs.items, key=lambda item: item.value("kid") or float("inf"))
        deviation = least.metrics.get("kid", Metric()).std or 0.0
        ties = sum(kid <= min(kids) + deviation for kid in kids)
        if ties > 1:
            lines.append(
                f"{'All' if ties == len(kids) else ties} of the {len(kids)} settings lie within "
                "one standard deviation of the best KID, so KID does not decide between these."
            )
    lines += _rough_averages(inputs)
    return " ".join(lines)


def _rough_averages(inputs: Inputs) -> list[str]:
    """A sentence on lengths whose average the snapshots give only roughly; [] if there is none."""
    errors = {
        length: entry.get("relative_profile_error")
        for length, entry in (inputs.reconstruct.get("lengths") or {}).items()
    }
    rough = rough_averages(errors)
    if not rough:
        return []
    return [
        "Averages are put together from snapshots taken while training. At some lengths the weight "
        "that each moment of the training gets is off by a good deal (relative error): "
        f"{', '.join(rough)}. More ema.snapshots make them more exact."
    ]


def length_charts(items: Sequence[Item]) -> dict[str, bytes]:
    """{metric: chart over the EMA length as PNG} of the metrics that the table charts."""
    charts = {}
    for name in shown("length chart"):
        groups: dict[str, list[tuple[float, float]]] = {}
        floors = {}
        for item in items:
            metric = item.metrics.get(name, Metric())
            if metric.value is not None:
                groups.setdefault(item.sampler, []).append((item.ema_length, metric.value))
            if metric.floor is not None:
                floors[item.sampler] = (metric.floor, metric.floor_std or 0.0)
        if groups:
            about = metric_entry(name, items[0].metric_name)
            charts[name] = length_chart(about.title, groups, floors, about.better)
    return charts
