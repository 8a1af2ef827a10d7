"""Reads runs back from MLflow, and makes the table rows in which they differ."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.judged_alike import DATA, DIGITS, NAME, Value, judged_differently
from evaluation.metric_table import METRICS, best_of, metric_entry, shown
from foundation.json_files import parse_object
from pipelines.comparison.short_names import short_names
from pipelines.reporting.html import number, with_deviation
from pipelines.reporting.stage_outputs import flat_metrics
from pipelines.tracking.length_steps import length_scale, length_step
from pipelines.tracking.run_names import JUDGED_BY, UNIMPORTANT_SECTIONS, importance
from pipelines.tracking.run_status import status_word
from pipelines.tracking.run_store import RunStore
from pipelines.tracking.student_entries import without_defaults
from pipelines.workspace.paths import is_student_item

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
    judged_by: Mapping[str, Value] = field(default_factory=dict)
    """What must be equal for its metrics to be compared (evaluation/judged_alike.py)."""
    chosen: str | None = None
    """The item to show; None: the best one."""

    @property
    def item(self) -> str | None:
        """The item that is shown; None if nothing was evaluated."""
        return self.chosen or self.best

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the item that is shown; {} if the run does not have it."""
        return self.items.get(self.item or "", {})

    def adapted(self, item: str) -> bool:
        """Whether the sampler of an item such as "0.1-few5_game" switches the adapter on."""
        sampler = item.rpartition("-")[2]
        return self.params.get(f"sampling.{sampler}.adapter", "").lower() == "true"

    @property
    def own_items(self) -> dict[str, Mapping[str, float]]:
        """The items of the denoiser itself, without those of students."""
        return {n: values for n, values in self.items.items() if not is_student_item(n)}

    @property
    def best(self) -> str | None:
        """The denoiser's item with the lowest KID (FD without KID); None if nothing was evaluated.

        Students do not count: what is compared is the training of the denoiser.
        """
        best = best_of(self.own_items)
        return None if best is None else best[1]


def read_run(store: RunStore, parent: Any) -> Compared:
    """Read a parent run and its children; of a cached stage, the run that computed it."""
    children = store.search({"mlflow.parentRunId": parent.info.run_id})
    items, samples, curves = {}, {}, {}
    for child in reversed(children):  # the newest of a stage comes last and replaces others
        stage, item = child.data.tags.get("stage"), child.data.tags.get("item")
        maker = child.data.tags.get("made_by", child.info.run_id)
        if stage in ("evaluate", "evaluate_students") and item and child.data.metrics:
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
        status_word(parent),
        parent.data.params,
        parent.data.tags,
        dict(sorted(items.items())),
        curves,
        samples,
        read_judging(parent, children),
    )


def read_judging(parent: Any, children: Sequence[Any]) -> dict[str, Value]:
    """What a run says that its metrics were judged by; of an older version, what else tells it."""
    for run in (parent, *children):
        if run.data.tags.get(JUDGED_BY):
            return parse_object(run.data.tags[JUDGED_BY])
    found: dict[str, Value] = {}
    inputs = getattr(parent, "inputs", None)
    for entry in inputs.dataset_inputs if inputs else ():
        found[DATA] = entry.dataset.digest[:DIGITS]
    if "dataset" in parent.data.tags:
        found[NAME] = parent.data.tags["dataset"]
    if "metric_name" in parent.data.tags:
        found["metric_name"] = parent.data.tags["metric_name"]
    if "evaluation.num_images" in parent.data.params:
        found["num_generated"] = parent.data.params["evaluation.num_images"]
    return found


def judging_rows(runs: Sequence[Compared]) -> list[list[str]]:
    """[what, value in each run] of all in which the judgements of the runs' metrics differ."""
    return judged_differently([run.judged_by if run.items else {} for run in runs])


def run_notes(runs: Sequence[Compared]) -> list[str]:
    """A line for each run that holds no metrics, or whose game moved nothing."""
    out = []
    for run in runs:
        if not run.items:
            out.append(f"{run.name}: it holds no metrics, since it was never evaluated")
        if run.tags.get("gate.note"):
            out.append(f"{run.name}: {run.tags['gate.note']}")
    return out


def equal_throughout(runs: Sequence[Compared]) -> bool:
    """Whether several runs have the same metrics, and equal ones, at the items that are shown.

    Their students must be equal too.
    """
    students = [{n: v for n, v in run.items.items() if is_student_item(n)} for run in runs]
    if any(found != students[0] for found in students):
        return False
    values = [{name: run.metrics.get(name) for name in METRICS} for run in runs]
    return (
        len(runs) > 1
        and any(run.metrics for run in runs)
        and all(value == values[0] for value in values)
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
            own = [entry for entry in items.values() if "student" not in entry]
            scale = length_scale(entry["ema_length"] for entry in own)
            for item, entry in items.items():
                if item in known:
                    continue
                metrics = {name: value for name, value in entry.items() if isinstance(value, dict)}
                key, step = f"samples student {item}", 0
                if "student" not in entry:
                    key = f"samples {entry['sampler']}"
                    step = length_step(entry["ema_length"], scale)
                picture = store.image(parent.info.run_id, key, step)
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
    """[param, value in each run] of the params that differ; "-" if a run has no such param.

    A student that no other run has is told without its defaults.
    """
    rows = []
    said = []
    for run in runs:
        others = {key: "" for other in runs if other is not run for key in other.params}
        said.append(without_defaults(run.params, others))
    for name in sorted({name for params in said for name in params}, key=importance):
        values = [run.params.get(name, "-") for run in runs]
        if len(set(values)) > 1 and name.split(".")[0] not in UNIMPORTANT_SECTIONS:
            rows.append([name, *values])
    return rows


def own_floors(runs: Sequence[Compared]) -> bool:
    """Whether the runs' floors of any metric differ, so that one column does not hold them."""
    found = [run.metrics for run in runs]
    return any(
        len({_floor(values, name) for values in found if f"{name}_floor" in values}) > 1
        for name in METRICS
    )


def metric_rows(runs: Sequence[Compared], apart: bool = False) -> tuple[list[str], list[list[str]]]:
    """Head and rows [metric, value in each run, floor ± std, difference] of the items shown.

    Below them stand the items of students, by name, each with the metric that chooses items.
    For two runs the difference is also given in standard deviations of the floor (of two that
    differ: the root of their mean square); below about two it is not significant. There is no
    difference if all metrics are equal. apart: the runs were not judged alike, so there is none
    either. In this case, and where floors differ, each value has its own floor in brackets below.
    """
    found = [run.metrics for run in runs]
    names = [n for n in METRICS if any(n in values for values in found)]
    short = short_names([run.name for run in runs])
    bracketed = apart or own_floors(runs)
    head = ["metric", *short] if bracketed else ["metric", *short, "real images"]
    items = [run.item if run.item in run.items else "-" for run in runs]
    rows = [["item", *(item or "-" for item in items), *([] if bracketed else [""])]]
    two = len(runs) == 2 and not apart and not equal_throughout(runs)
    lines = [(metric_entry(name).title, name, found) for name in names]
    lines += _student_lines(runs)
    for title, name, measured in lines:
        values = [number(v.get(name)) if name in v else "-" for v in measured]
        floors = [_floor(v, name) for v in measured]
        row = [title]
        if bracketed:
            pairs = zip(values, floors, strict=True)
            row += [v if floor == "-" else f"{v}\n({floor})" for v, floor in pairs]
        else:
            row += [*values, next((floor for floor in floors if floor != "-"), "-")]
        if two:
            stds = [v[f"{name}_floor_std"] for v in measured if f"{name}_floor_std" in v]
            row.append(_difference([v.get(name) for v in measured], stds))
        rows.append(row)
    if two:
        head.append("difference")
        rows[0].append("")
    return head, (rows if names else [])


def _student_lines(
    runs: Sequence[Compared],
) -> list[tuple[str, str, list[Mapping[str, float]]]]:
    """(title, metric, the item's metrics in each run) of every student's item."""
    items = sorted({item for run in runs for item in run.items if is_student_item(item)})
    lines = []
    for item in items:
        measured = [run.items.get(item, {}) for run in runs]
        name = next((n for n in shown("choice") if any(n in found for found in measured)), None)
        if name is not None:
            lines.append((f"{metric_entry(name).title} of {item}", name, measured))
    return lines


def _floor(found: Mapping[str, float], name: str) -> str:
    """ "0.010 ± 0.020"; "-" if the metric has no floor."""
    if f"{name}_floor" not in found:
        return "-"
    return with_deviation(found[f"{name}_floor"], found.get(f"{name}_floor_std"))


def _difference(values: Sequence[float | None], stds: Sequence[float]) -> str:
    if values[0] is None or values[1] is None:
        return "-"
    change = values[1] - values[0]
    std = math.sqrt(math.fsum(std**2 for std in stds) / len(stds)) if stds else 0.0
    inside = f" ({change / std:+.1f} std)" if std > 0 else ""
    return f"{'+' if change >= 0 else '-'}{number(abs(change))}{inside}"
