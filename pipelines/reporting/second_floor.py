"""The second floor of latents in words: how far real images are that went through the autoencoder.

The stages evaluate and evaluate_students measure it beside each item (metrics NAME_reconstruction);
items of pixels have none.
"""

from evaluation.metric_table import metric_entry
from pipelines.reporting.html import number, with_deviation
from pipelines.reporting.stage_outputs import Item


def second_floor(item: Item, name: str) -> str | None:
    """Of a metric, such as "kid", with its deviation; None where there is none."""
    metric = item.metrics.get(f"{name}_reconstruction")
    if metric is None or metric.value is None:
        return None
    return with_deviation(metric.value, metric.std)


def second_floor_sentence(item: Item) -> str:
    """What real images lose in the autoencoder; "" for pixels."""
    found = {name: second_floor(item, name) for name in ("kid", "fd")}
    told = [
        f"{metric_entry(name, item.metric_name).title} {value}"
        for name, value in found.items()
        if value is not None
    ]
    ratio = item.value("reconstruction_psnr")
    if ratio is not None:
        told.append(f"a PSNR of {number(ratio)} dB")
    if not told:
        return ""
    return (
        f"Held-out images that went through the autoencoder have {', '.join(told)}: this second "
        "floor is the best that can be expected of images decoded from its latents."
    )
