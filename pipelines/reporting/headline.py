"""One line of markdown with the main metrics of a setting, for the descriptions of runs."""

from evaluation.metric_table import metric_entry, shown
from foundation.number_names import number_name
from pipelines.reporting.html import number, with_deviation
from pipelines.reporting.stage_outputs import Item


def metrics_headline(item: Item) -> str:
    """Markdown: the main metrics of a setting, each with the value that real images reach."""
    parts = []
    for name in shown("tile"):
        metric = item.metrics.get(name)
        if metric is None or metric.value is None:
            continue
        said = f"**{metric_entry(name, item.metric_name).title} {number(metric.value)}**"
        if metric.floor is not None:
            said += f" (real images {with_deviation(metric.floor, metric.floor_std)})"
        parts.append(said)
    setting = f"EMA length {number_name(item.ema_length)}, sampler {item.sampler}: "
    return setting + " · ".join(parts)
