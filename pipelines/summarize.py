"""Stage summarize: write the results as a table, a curve and a page, and end the MLflow run."""

import io
import json
from collections.abc import Sequence

from PIL import Image

from evaluation.metric_table import shown
from foundation.atomic_files import write_text
from foundation.number_names import number_name
from pipelines.console.command import parser, run_stage
from pipelines.params import load_params
from pipelines.reporting.figures import read_curves
from pipelines.reporting.headline import metrics_headline, metrics_listing
from pipelines.reporting.inputs import UNKNOWN, Inputs, Origin
from pipelines.reporting.provenance import provenance
from pipelines.reporting.report_page import render
from pipelines.reporting.sections.results import length_charts
from pipelines.reporting.stage_outputs import (
    PROVENANCE,
    Item,
    Report,
    best_item,
    read_item,
    read_json,
    summary,
    write_csv,
    write_report,
)
from pipelines.settings.dotted_keys import flatten
from pipelines.settings.schema import Params
from pipelines.stages.whole_folders import check_whole
from pipelines.tracking.length_steps import length_scale, length_step
from pipelines.tracking.provenance import git_tags
from pipelines.tracking.run_names import (
    JUDGED_BY,
    closest_preset,
    dataset_name,
    gate_tags,
    load_presets,
)
from pipelines.tracking.stage_run import StageRun, stage_run
from pipelines.workspace.fingerprint import (
    item_fingerprint,
    outcome,
    pipeline_tag,
    predictor_fingerprint,
    stage_fingerprint,
    student_identity,
    student_item_fingerprint,
)
from pipelines.workspace.leftovers import put_aside
from pipelines.workspace.paths import (
    ATTRIBUTES,
    AUTOENCODER,
    DATASET,
    EMA,
    EVALUATE,
    EVALUATE_STUDENTS,
    LATENTS,
    REFERENCE,
    REPORTS,
    STUDENTS,
    TRAIN,
    dvc_root,
    item_name,
    length_name,
    student_item_name,
)
from pipelines.workspace.stage_code import content_hash

WEIGHTS = (".safetensors", ".json")
OPENING = "EMA length {length}, the best here; the slider is {scale:,} x EMA length"


def main() -> None:
    params = load_params(parser(__doc__).parse_args().params)
    check_inputs(params)
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("summarize", params)
    with stage_run("summarize", params, tag, fingerprint, root=dvc_root()) as run:
        names = [item_name(n, s) for n in params.ema.lengths for s in params.samplers]
        inputs = read_inputs(names, run_origin(params), student_items(params))
        report = summary(inputs.items, inputs.train, inputs.dataset, inputs.students)
        page = render(inputs)
        # Not before all that params name was read: with wrong params nothing is moved.
        for path in put_aside(params):
            print(f"summarize: params do not name {path.name} any more: moved to {path}")
        record = json.dumps(provenance(params), indent=1) + "\n"
        write_text(REPORTS / PROVENANCE, record)
        stated = report.model_copy(update={"provenance": content_hash(REPORTS / PROVENANCE)})
        write_report(stated, REPORTS / "metrics.json")
        write_csv(inputs.items, REPORTS / "fid_by_ema.csv")
        write_text(REPORTS / "report.html", page)
        track(run, params, inputs, report)
    best = report.best
    print(f"summarize: best by {best['by']}: {best['item']}; look at {REPORTS / 'report.html'}")


def check_inputs(params: Params) -> None:
    """Raise DamagedResult if a file that the report shows, or whose hash it records, is damaged."""
    averages = [f"{length_name(n)}{end}" for n in params.ema.lengths for end in WEIGHTS]
    check_whole(EMA, {"reconstruct.json", *averages})
    check_whole(TRAIN, {"train.json", "curves.csv"})
    folders = [DATASET, REFERENCE, AUTOENCODER, LATENTS, ATTRIBUTES]
    folders += [EVALUATE / item_name(n, s) for n in params.ema.lengths for s in params.samplers]
    folders += [STUDENTS, EVALUATE_STUDENTS] if params.distil else []
    for folder in folders:
        check_whole(folder)


def student_items(params: Params) -> list[str]:
    """Names of the items of all students that params list."""
    return [
        student_item_name(name, length, sampler)
        for name in params.distil
        for length in params.students[name].lengths
        for sampler in params.students[name].samplers
    ]


def run_origin(params: Params) -> Origin:
    """What the run was made from: data set, difference from the closest preset, git state."""
    flat = flatten(params.model_dump(mode="json"))
    preset, changes = closest_preset(flat, load_presets()) or ("", {})
    return Origin(dataset_name(flat), preset, changes, git_tags())


def read_inputs(names: list[str], origin: Origin = UNKNOWN, students: Sequence[str] = ()) -> Inputs:
    """Read what the earlier stages wrote about these items. Raises ResultsError."""
    pictures = {}
    folders = {name: EVALUATE / name for name in names}
    folders |= {name: EVALUATE_STUDENTS / name for name in students}
    for name, folder in folders.items():
        kinds = ("samples", "real", "nearest")
        files = {kind: folder / f"{kind}.png" for kind in kinds}
        pictures[name] = {kind: f.read_bytes() for kind, f in files.items() if f.is_file()}
    return Inputs(
        items=[read_item(EVALUATE / name) for name in names],
        train=read_json(TRAIN / "train.json", "train"),
        curves=read_curves(TRAIN / "curves.csv"),
        dataset=read_json(DATASET / "dataset.json", "prepare"),
        reference=read_json(REFERENCE / "reference.json", "reference"),
        reconstruct=read_json(EMA / "reconstruct.json", "reconstruct"),
        pictures=pictures,
        sheet=sheet.read_bytes() if (sheet := DATASET / "sheet.png").is_file() else None,
        origin=origin,
        students=[read_item(EVALUATE_STUDENTS / name, "evaluate_students") for name in students],
        distilled=read_json(STUDENTS / "students.json", "distil") if students else {},
    )


def track(run: StageRun, params: Params, inputs: Inputs, report: Report) -> None:
    """Log final numbers, curves and pictures to the parent run, and add runs of cached stages."""
    parent = run.parent
    if parent is None:
        return
    by, best = best_item(inputs.items)
    parent.set_tags(
        {
            "best.item": best.item,
            "best.by": by,
            "metric_name": best.metric_name,
            "outcome": outcome(params),
            JUDGED_BY: json.dumps(report.judged_by),
            **gate_tags(inputs.train),
        }
    )
    parent.log_metrics({**best.flat(), "best_ema_length": best.ema_length})
    for item in inputs.students:
        for name in shown("MLflow by length"):
            parent.log_metrics({f"{name}_of_student/{item.item}": item.value(name)})
    scale = length_scale(item.ema_length for item in inputs.items)
    # By length, since a run leaves out numbers of a step below its last one.
    for item in sorted(inputs.items, key=lambda item: item.ema_length):
        step = length_step(item.ema_length, scale)
        for name in shown("MLflow by length"):
            parent.log_metrics({f"{name}_by_ema/{item.sampler}": item.value(name)}, step)
    for name in shown("MLflow curve"):
        for nimg, value in zip(*inputs.curves.get(name, ((), ())), strict=True):
            parent.log_metrics({name: float(value)}, int(nimg))
    for target in (parent, run):
        log_pictures(target, inputs, best)
    parent.log_dataset(inputs.dataset)
    for file in ("report.html", "metrics.json", "fid_by_ema.csv", PROVENANCE):
        parent.log_artifact(REPORTS / file)
    pictures = {
        EVALUATE / best.item / f"{kind}.png": what
        for kind, what in (
            ("samples", "generated images (left)"),
            ("real", "real images of the same classes (right)"),
        )
        if kind in inputs.pictures[best.item]
    }
    links = {
        "larger pictures, with sliders": f"{run.page}/model-metrics",
        "charts": f"{parent.page}/model-metrics",
        "the whole report": f"{parent.page}/artifacts/report.html",
    }
    run.describe(metrics_headline(best), pictures)
    parent.describe(metrics_headline(best), pictures, metrics_listing(best), links)
    for stage in ("prepare", "autoencoder", "encode", "reference", "train", "reconstruct"):
        run.add_restored(stage, stage_fingerprint(stage, params))
    for name in params.attributes:
        for length in params.ema.lengths:
            fingerprint = predictor_fingerprint(params, name, length)
            run.add_restored("attributes", fingerprint, f"{name}-{number_name(length)}")
    for item in inputs.items:
        fingerprint = item_fingerprint(params, item.ema_length, item.sampler)
        run.add_restored("evaluate", fingerprint, item.item)
    for name in params.distil:
        run.add_restored("distil", student_identity(params, name).fingerprint, name)
    for item in inputs.students:
        if item.student is not None:
            fingerprint = student_item_fingerprint(
                params, item.student, item.ema_length, item.sampler
            )
            run.add_restored("evaluate_students", fingerprint, item.item)


def log_pictures(target: StageRun, inputs: Inputs, best: Item) -> None:
    """Log samples of every EMA length, real images beside those of the best, and charts."""
    scale = length_scale(item.ema_length for item in inputs.items)
    by_sampler: dict[str, list[Item]] = {}
    for item in inputs.items:
        by_sampler.setdefault(item.sampler, []).append(item)
    for sampler, items in by_sampler.items():
        first = best_item(items)[1]  # the picture with which the slider opens
        for item in items:
            picture = inputs.pictures[item.item].get("samples")
            if picture:
                opening = OPENING.format(length=number_name(item.ema_length), scale=scale)
                target.log_image(
                    Image.open(io.BytesIO(picture)),
                    f"samples {sampler}",
                    length_step(item.ema_length, scale),
                    opening if item is first else "",
                )
    for item in inputs.students:
        picture = inputs.pictures[item.item].get("samples")
        if picture:
            target.log_image(Image.open(io.BytesIO(picture)), f"samples student {item.item}")
    for kind, name in (("samples", "samples"), ("real", "real images")):
        picture = inputs.pictures[best.item].get(kind)
        if picture:
            target.log_image(Image.open(io.BytesIO(picture)), name)
    for name, chart in length_charts(inputs.items).items():
        target.log_image(Image.open(io.BytesIO(chart)), f"{name} by EMA length")


if __name__ == "__main__":
    run_stage(main)
