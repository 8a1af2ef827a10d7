"""Stage evaluate_students: judge each trained student with its samplers at its EMA lengths.

DVC cannot have a matrix without entries, so one stage judges all. An item whose weights, sampler,
judging and code are those of before is not drawn again.
"""

import json
import shutil
from collections.abc import Iterator

from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from pipelines.console.command import parser, run_stage
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.settings.schema import Params
from pipelines.stages.judged_item import Subject, judge_item, log_item
from pipelines.stages.kept_items import keep_item, restore_item
from pipelines.stages.whole_folders import check_whole, finish_folder
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, student_item_fingerprint
from pipelines.workspace.litter import sweep_up
from pipelines.workspace.paths import (
    DATASET,
    EVALUATE_STUDENTS,
    REFERENCE,
    STUDENTS,
    dvc_root,
    length_name,
    student_item_name,
)

LIST = EVALUATE_STUDENTS / "items.json"


def main() -> None:
    params = load_params(parser(__doc__).parse_args().params)
    hide_gpus(params.cluster)
    todo = list(subjects(params))
    for read in (DATASET, REFERENCE, STUDENTS) if todo else ():
        check_whole(read)
    shutil.rmtree(EVALUATE_STUDENTS, ignore_errors=True)
    if todo:
        evaluate(params, todo)
    items = [subject.item for subject in todo]
    write_text(LIST, json.dumps({"items": items}, indent=1) + "\n")
    finish_folder(EVALUATE_STUDENTS)
    if not todo:
        print("evaluate_students: params list no student")


def subjects(params: Params) -> Iterator[Subject]:
    """Each student at each of its EMA lengths under each of its samplers, in this order."""
    for name in params.distil:
        student = params.students[name]
        for length in student.lengths:
            for sampler in student.samplers:
                yield Subject(
                    student_item_name(name, length, sampler),
                    STUDENTS / name / f"{length_name(length)}.safetensors",
                    length,
                    sampler,
                    params.sampling[sampler],
                    {"student": name, "teacher_length": student.teacher},
                )


def evaluate(params: Params, todo: list[Subject]) -> None:
    """Judge the subjects that were not judged before, and put the files of all in place."""
    from evaluation.reference import load_reference  # brings torch, which --help does without

    root, tag = dvc_root(), pipeline_tag(params)
    dataset, reference = ImageDataset(DATASET), None
    sweep_up(root)
    for subject in todo:
        name, out = subject.facts["student"], EVALUATE_STUDENTS / subject.item
        fingerprint = student_item_fingerprint(
            params, name, subject.ema_length, subject.sampler_name
        )
        with stage_run(
            "evaluate_students",
            params,
            tag,
            fingerprint,
            root=root,
            item=subject.item,
            param_keys=["seed", "evaluation", f"sampling.{subject.sampler_name}"],
        ) as run:
            kept = restore_item(fingerprint, out)
            if kept:
                headline = log_item(out, dataset, run)
            else:
                reference = reference or load_reference(REFERENCE, params.evaluation.inception_path)
                headline = judge_item(params, subject, dataset, reference, out, run)
                keep_item(fingerprint, out)
        before = ", as judged before" if kept else ""
        print(f"evaluate_students {subject.item}: {headline}{before}", flush=True)


if __name__ == "__main__":
    run_stage(main)
