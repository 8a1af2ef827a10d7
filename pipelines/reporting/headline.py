"""The main metrics of a setting in lines of markdown, for the descriptions of runs."""

from evaluation.metric_table import metric_entry, shown
from foundation.number_names import number_name
from pipelines.reporting.html import number, with_deviation
from pipelines.reporting.second_floor import second_floor
from pipelines.reporting.stage_outputs import Item


def metrics_headline(item: Item) -> str:
    """Markdown: the metric that chooses between settings, and the setting, in a short line."""
    first = [name for name in shown("choice") if item.value(name) is not None][:1]
    setting = f"EMA length {number_name(item.ema_length)}, sampler {item.sampler}"
    return " · ".join([*(_metric(item, name) for name in first), setting])


def metrics_listing(item: Item) -> str:
    """Markdown: the other main metrics, each with the value that real images reach."""
    first = [name for name in shown("choice") if item.value(name) is not None][:1]
    names = [n for n in shown("tile") if item.value(n) is not None and n not in first]
    return " · ".join(_metric(item, name) for name in names)


def _metric(item: Item, name: str) -> str:
    metric = item.metrics[name]
    said = f"**{metric_entry(name, item.metric_name).title} {number(metric.value)}**"
    if metric.floor is not None:
        floors = f"real images {with_deviation(metric.floor, metric.floor_std)}"
        if (through := second_floor(item, name)) is not None:
            floors += f", through the autoencoder {through}"
        said += f" ({floors})"
    return said
