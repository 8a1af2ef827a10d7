"""Names of the numbers that a sweep optimises, and that its trials report."""

from evaluation.metric_table import metric_entry, shown


def objective(key: str) -> str:
    """Name of the number that a sweep optimises: the metric, or its distance from its floor."""
    return f"{key}_from_floor" if metric_entry(key).better == "floor" else key


def reported_by_trials() -> list[str]:
    """Names of the numbers that a sweep's trials report: metrics, and distances from floors."""
    return list(dict.fromkeys(n for key in shown("sweep") for n in (key, objective(key))))
