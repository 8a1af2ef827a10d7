"""What of students stands in the table over several seeds: one metric of each item."""

from typing import Any

from evaluation.metric_table import metric_entry, shown
from pipelines.workspace.paths import is_student_item

OF = " of "


def of_students(metrics_json: dict[str, Any], part: str = "value") -> dict[str, float]:
    """{"kid of quick-0.05-one": value} of every student's item of a reports/metrics.json.

    Of the metric that chooses items. part: "floor" for its floors.
    """
    found = {}
    for item, entry in metrics_json["items"].items():
        if not is_student_item(item):
            continue
        metric = next((key for key in shown("choice") if isinstance(entry.get(key), dict)), None)
        value = entry[metric].get(part) if metric else None
        if isinstance(value, int | float):
            found[f"{metric}{OF}{item}"] = float(value)
    return found


def metric_title(key: str) -> str:
    """The title of a metric, also of one of a student's item: "KID of quick-0.05-one"."""
    metric, of, item = key.partition(OF)
    return f"{metric_entry(metric).title}{of}{item}"
