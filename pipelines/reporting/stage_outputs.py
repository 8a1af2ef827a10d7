"""Reads and checks the numbers that the stages wrote, and writes those of the report.

`Report` is reports/metrics.json (schema 1):

    schema      1
    best        the item with the lowest KID (FD where KID is undefined): by, item, ema_length,
                sampler, and every metric's value
                (of the denoiser alone, not of its students)
    items       one entry per EMA length and sampler ("0.05-default"): ema_length, sampler, nfe
                (the solver's calls of the guided denoiser per image; the mean, with nfe_min and
                nfe_max beside it, where images take different numbers), network_evaluations (per
                image, with those that guidance adds), num_images, n (images on each side of a
                comparison), and for every metric its value, floor (the same metric between real
                images and real images, at equal n) and floor_std, for structure_gap also
                resolvable. An item of a student ("quick-0.05-one") also has student (its name) and
                teacher_length (EMA length of its teacher)
    judged_by   what must be equal for metrics of two reports to be compared: data and their hash,
                extractor, hash of its weights, n, ... (evaluation/judged_alike.py)
    train       total_nimg, num_parameters, skipped_steps, structure_plays, gate_open_fraction,
                gate_shut ({reason: plays}), and the last value of each curve
    dataset     counts and shape of the images
    provenance  SHA-256 of provenance.json beside it, which names the content of every file that
                the result was made from (python -m pipelines.verify)

It contains no time and no speed, so equal inputs give equal bytes.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from evaluation.judged_alike import judged_by, judged_differently
from evaluation.metric_table import best_of, shown_with_floors
from foundation.atomic_files import replacing, write_text
from foundation.json_files import read_object
from pipelines.reporting.shapes import check_shape

PROVENANCE = "provenance.json"
"""Beside metrics.json: what the result was made from (pipelines/reporting/provenance.py)."""


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]


class Metric(BaseModel, extra="ignore", frozen=True):
    """A metric's value and its floor, the same between real images; None: not defined."""

    value: Number = None
    floor: Number = None
    floor_std: Number = None
    std: Number = None
    resolvable: bool | None = None


class Item(BaseModel, extra="ignore", frozen=True):
    """metrics.json of outputs/evaluate/<item> or outputs/evaluate_students/<item>."""

    item: str
    ema_length: float
    sampler: str
    student: str | None = None
    """Name of the student that drew the images; None: the denoiser itself."""
    teacher_length: float | None = None
    """EMA length of the student's teacher."""
    num_images: int
    nfe: int | float | None = None
    """The solver's calls of the guided denoiser per image, their mean where they differ."""
    nfe_min: int | None = None
    """Least calls of an image, where they differ."""
    nfe_max: int | None = None
    """Most calls of an image, where they differ."""
    network_evaluations: int | float | None = None
    """Evaluations of networks per image, with guidance; None in files of older versions."""
    sigmas: list[float] = []
    classes_without_image: list[str] = []
    """Names of the classes of which no image was generated."""
    classes_without_picture: list[str] = []
    """Names of the classes that samples.png does not show."""
    n: int | None = None
    metric_name: str = "FD"
    weights_sha256: str | None = None
    """Of the file that drew the images; None in files of older versions."""
    metrics: dict[str, Metric]
    shares: dict[str, dict[str, Number]] = {}
    """{class: {"wanted", "found", "answered"}} where evaluation.target asks for shares."""
    protocol: dict[str, Any] = {}

    def value(self, name: str) -> float | None:
        """A metric's value; None if it was not measured."""
        return self.metrics[name].value if name in self.metrics else None

    @property
    def evaluations(self) -> str:
        """Network evaluations per image in words, such as "35" or "23.4 (NFE 17 to 41)"; "" of
        older versions."""
        if self.nfe_min is None or self.network_evaluations is None:
            return "" if self.network_evaluations is None else str(self.network_evaluations)
        return f"{self.network_evaluations:.1f} (NFE {self.nfe_min} to {self.nfe_max})"

    def flat(self) -> dict[str, float]:
        """{"kid": ..., "kid_floor": ...} of all numbers that are defined."""
        return flat_metrics({name: metric.model_dump() for name, metric in self.metrics.items()})


class Report(BaseModel, frozen=True, extra="forbid"):
    """reports/metrics.json."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    best: dict[str, float | str | None]
    items: dict[str, dict[str, Any]]
    judged_by: dict[str, Any] = {}
    train: dict[str, Any]
    dataset: dict[str, Any]
    provenance: Annotated[str | None, Field(exclude_if=not_)] = None
    """SHA-256 of PROVENANCE, which names the content of all that the result was made from."""


class ResultsError(ValueError):
    """A stage's output is missing or cannot be read; the message says which stage to run."""


def read_json(path: Path, stage: str) -> dict[str, Any]:
    """A stage's JSON output. Raises ResultsError that names the stage."""
    try:
        found = read_object(path)
        check_shape(Path(path).name, found)
        return found
    except FileNotFoundError:
        raise ResultsError(f"{path} is missing: run `dvc repro {stage}` first") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error}): run `dvc repro -f {stage}`") from None


def read_item(folder: Path, stage: str = "evaluate") -> Item:
    """One item of the stage evaluate or evaluate_students. Raises ResultsError."""
    path = Path(folder) / "metrics.json"
    try:
        return Item.model_validate(read_json(path, stage))
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        message = f"{path}: {field}: {error.errors()[0]['msg']}: run `dvc repro -f {stage}`"
        raise ResultsError(message) from None


def flat_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """{"kid": {"value": 1, "floor": 2}} -> {"kid": 1, "kid_floor": 2}; undefined ones left out."""
    flat = {}
    for name, entry in metrics.items():
        for part, number in entry.items():
            if isinstance(number, int | float) and not isinstance(number, bool):
                flat[name if part == "value" else f"{name}_{part}"] = float(number)
    return flat


def best_item(items: Sequence[Item]) -> tuple[str, Item]:
    """(metric, item): the item with the lowest KID, or FD if no KID is defined."""
    by_name = {item.item: item for item in items}
    best = best_of({name: item.flat() for name, item in by_name.items()})
    return (best[0], by_name[best[1]]) if best is not None else ("order", items[0])


def summary(
    items: Sequence[Item],
    train: Mapping[str, Any],
    dataset: Mapping[str, Any],
    students: Sequence[Item] = (),
) -> Report:
    """The content of reports/metrics.json, from the items, train.json and dataset.json.

    students: items of students, among which the best is not sought.
    Raises ResultsError unless all items were judged alike.
    """
    judged = [*items, *students]
    bases = [judged_by(item.protocol, dataset) for item in judged]
    apart = judged_differently(bases)
    if apart:
        raise ResultsError(
            f"outputs/evaluate: {', '.join(item.item for item in judged)} were not judged alike "
            f"({', '.join(row[0] for row in apart)} differ): run `dvc repro -f evaluate"
            f"{' evaluate_students' if students else ''}`"
        )
    by, best = best_item(items)
    values = {name: metric.value for name, metric in best.metrics.items()}
    head: dict[str, Any] = {
        "by": by,
        "item": best.item,
        "ema_length": best.ema_length,
        "sampler": best.sampler,
    }
    entries = {}
    for item in judged:
        metrics = {
            name: {
                part: number
                for part in ("value", "floor", "floor_std", "resolvable")
                if (number := getattr(metric, part)) is not None
            }
            for name, metric in item.metrics.items()
        }
        facts = {"ema_length", "sampler", "nfe", "network_evaluations", "num_images", "n"}
        facts |= {"student", "teacher_length"} if item.student is not None else set()
        facts |= {"nfe_min", "nfe_max"} if item.nfe_min is not None else set()
        about = item.model_dump(include=facts)
        entries[item.item] = {**about, **metrics}
    counted = ("total_nimg", "num_parameters", "skipped_steps", "structure_plays")
    trained = {key: train[key] for key in counted if key in train}
    gate = train.get("gate") or {}
    if gate.get("open_fraction") is not None:
        trained["gate_open_fraction"] = gate["open_fraction"]
    if gate.get("shut_reasons"):
        trained["gate_shut"] = gate["shut_reasons"]
    trained |= {key: value for key, value in (train.get("final") or {}).items() if _finite(value)}
    shape = ("num_images", "num_train", "num_held_out", "resolution", "channels", "num_classes")
    data = {key: dataset[key] for key in shape if key in dataset}
    best_values: dict[str, float | str | None] = {**head, **values}
    return Report(
        schema=1,
        best=best_values,
        items=entries,
        judged_by=next((basis for basis in bases if basis), {}),
        train=trained,
        dataset=data,
    )


def write_report(report: Report, path: Path) -> None:
    """Write reports/metrics.json, whole or not at all."""
    text = json.dumps(report.model_dump(by_alias=True), indent=2, allow_nan=False)
    write_text(Path(path), text + "\n")


def write_csv(items: Sequence[Item], path: Path) -> None:
    """Write reports/fid_by_ema.csv: a row per item, empty cells for undefined metrics."""
    names = ("ema_length", "sampler", *shown_with_floors("csv"))
    with replacing(path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for item in items:
            setting = {"ema_length": item.ema_length, "sampler": item.sampler}
            writer.writerow(setting | item.flat())


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
