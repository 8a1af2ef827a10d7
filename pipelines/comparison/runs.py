"""Reads runs back from MLflow, and makes the table rows in which they differ."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.metric_table import METRICS, best_of, metric_entry
from foundation.json_files import parse_object
from pipelines.reporting.html import number, with_deviation
from pipelines.reporting.stage_outputs import flat_metrics
from pipelines.tracking.length_steps import length_scale, length_step
from pipelines.tracking.run_names import UNIMPORTANT_SECTIONS, importance
from pipelines.tracking.run_store import RunStore

Curve = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Compared:
    """What is compared of one parent run."""

    name: str
    run_id: str
    status: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """{item: {"kid": ..., "kid_floor": ..., "kid_floor_std": ...}}"""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    samples: Mapping[str, bytes] = field(default_factory=dict)
    """{item: PNG}"""

    @property
    def best(self) -> str | None:
        """The item with the lowest KID (FD without KID); None if nothing was evaluated."""
        best = best_of(self.items)
        return None if best is None else best[1]


def read_run(store: RunStore, parent: Any) -> Compared:
    """Read a parent run and its children; of a cached stage, the run that computed it."""
    children = store.search({"mlflow.parentRunId": parent.info.run_id})
    items, samples, curves = {}, {}, {}
    for child in reversed(children):  # the newest of a stage comes last and replaces others
        stage, item = child.data.tags.get("stage"), child.data.tags.get("item")
        maker = child.data.tags.get("made_by", child.info.run_id)
        if stage == "evaluate" and item and child.data.metrics:
            items[item] = dict(child.data.metrics)
            picture = store.artifact(maker, "samples.png")
            if picture:
                samples[item] = picture
        elif stage == "train":
            names = store.latest_metrics(maker)
            wanted = [n for n in names if not n.startswith("system/") and n != "kimg"]
            curves = {name: store.history(maker, name) for name in wanted}
    for item, (metrics, picture) in final_items(store, parent, known=items).items():
        items[item] = metrics
        if picture:
            samples[item] = picture
    return Compared(
        parent.info.run_name,
        parent.info.run_id,
        parent.info.status,
        parent.data.params,
        parent.data.tags,
        dict(sorted(items.items())),
        curves,
        samples,
    )


def final_items(
    store: RunStore, parent: Any, known: Container[str]
) -> dict[str, tuple[dict[str, float], bytes | None]]:
    """{item: (metrics, PNG)} that the parent keeps of items without a run of their own.

    DVC does not run `evaluate` if the weights are the same bytes as before, so the item may have no
    run. They are read from metrics.json; without that file, the best item is read from the
    parent's own metrics. known: items to leave out.
    """
    text, found = store.artifact(parent.info.run_id, "metrics.json"), {}
    if text is not None:
        try:
            items = parse_object(text)["items"]
            scale = length_scale(entry["ema_length"] for entry in items.values())
            for item, entry in items.items():
                if item in known:
                    continue
                metrics = {name: value for name, value in entry.items() if isinstance(value, dict)}
                step = length_step(entry["ema_length"], scale)
                picture = store.image(parent.info.run_id, f"samples {entry['sampler']}", step)
                found[item] = flat_metrics(metrics), picture
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"metrics.json of run {parent.info.run_name} is damaged ({error}): run the "
                "pipeline again, or leave this run out"
            ) from error
    best = parent.data.tags.get("best.item")
    if not found and best and best not in known and parent.data.metrics:
        found[best] = dict(parent.data.metrics), store.image(parent.info.run_id, "samples", 0)
    return found


def param_rows(runs: Sequence[Compared]) -> list[list[str]]:
    """[param, value in each run] of the params that differ; "-" if a run has no such param."""
    rows = []
    for name in sorted({name for run in runs for name in run.params}, key=importance):
        values = [run.params.get(name, "-") for run in runs]
        if len(set(values)) > 1 and name.split(".")[0] not in UNIMPORTANT_SECTIONS:
            rows.append([name, *values])
    return rows


def metric_rows(runs: Sequence[Compared]) -> tuple[list[str], list[list[str]]]:
    """Head and rows [metric, value in each run, floor ± std, difference] of the best items.

    For two runs the difference is also given in standard deviations of the floor; below about two
    it is not significant.
    """
    best = [run.items.get(run.best or "", {}) for run in runs]
    names = [n for n in METRICS if any(n in values for values in best)]
    head = ["metric", *(run.name for run in runs), "real images"]
    rows = [["item", *(run.best or "-" for run in runs), ""]]
    two = len(runs) == 2
    for name in names:
        floors = [v[f"{name}_floor"] for v in best if f"{name}_floor" in v]
        stds = [v[f"{name}_floor_std"] for v in best if f"{name}_floor_std" in v]
        floor = with_deviation(floors[0], stds[0] if stds else None) if floors else "-"
        values = [number(v.get(name)) if name in v else "-" for v in best]
        row = [metric_entry(name).title, *values, floor]
        if two:
            row.append(_difference([v.get(name) for v in best], stds))
        rows.append(row)
    if two:
        head.append("difference")
        rows[0].append("")
    return head, (rows if names else [])


def _difference(values: Sequence[float | None], stds: Sequence[float]) -> str:
    if values[0] is None or values[1] is None:
        return "-"
    change = values[1] - values[0]
    inside = f" ({change / stds[0]:+.1f} std)" if stds and stds[0] > 0 else ""
    return f"{'+' if change >= 0 else '-'}{number(abs(change))}{inside}"
