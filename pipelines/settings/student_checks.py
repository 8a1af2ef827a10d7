"""Finds settings of students that do not fit the rest of params, and says how to mend them."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from foundation.did_you_mean import spelling_hint
from foundation.number_names import number_name
from sampling.for_students import student_refusal
from training.students import STUDENTS, StudentConfig

if TYPE_CHECKING:
    from pipelines.settings.schema import Params
    from sampling.config import SamplerConfig


def student_problems(params: "Params") -> Iterator[str]:
    """One line for each problem, with the YAML path and the mend."""
    for name in dict.fromkeys(params.distil):
        if name not in params.students:
            hint = spelling_hint(name, params.students) or ", which is empty: describe it there"
            yield f"distil: {name!r:.80} is not a name under students{hint}"
    if len(set(params.distil)) != len(params.distil):
        yield "distil: a name is listed twice"
    for name, student in params.students.items():
        key = f"students.{name}"
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            yield (
                f"{key}: a student's name begins with a letter and has letters, digits and _ only, "
                "since it names folders"
            )
        yield from _lengths(params, key, student)
        yield from _samplers(params.sampling, key, student)
        yield from _training(params, name)


def _lengths(params: "Params", key: str, student: StudentConfig) -> Iterator[str]:
    if student.teacher not in params.ema.lengths:
        yield (
            f"{key}.teacher: {number_name(student.teacher)} is not made: add it to ema.lengths, or "
            f"choose of {', '.join(map(number_name, params.ema.lengths))}"
        )
    for length in sorted({n for n in student.lengths if student.lengths.count(n) > 1}):
        yield f"{key}.lengths: {number_name(length)} is listed twice: leave one out"


def _samplers(
    sampling: Mapping[str, "SamplerConfig"], key: str, student: StudentConfig
) -> Iterator[str]:
    if len(set(student.samplers)) != len(student.samplers):
        yield f"{key}.samplers: a name is listed twice"
    for name in dict.fromkeys(student.samplers):
        if name not in sampling:
            hint = spelling_hint(name, sampling)
            yield f"{key}.samplers: {name!r:.80} is not a name under sampling{hint}"
            continue
        part, why = student_refusal(sampling[name], student.levels, student.follows_paths)
        if why:
            yield f"sampling.{name}.{part}, which {key}.samplers names: {why}"


def _training(params: "Params", name: str) -> Iterator[str]:
    student, settings = params.students[name], params.student_settings(name)
    if settings.total_steps < student.snapshots:
        yield (
            f"students.{name}.snapshots: {student.snapshots} snapshots do not fit the "
            f"{settings.total_steps} steps of total_kimg / batch_size: train longer or keep fewer"
        )


def student_batches(params: "Params") -> dict[str, int]:
    """{key: images over all workers} of every batch that students are trained with."""
    found = {}
    for name, student in params.students.items():
        found[f"students.{name}.batch_size"] = student.batch_size
        if student.structure.kind != "none" and student.structure.batch_size:
            found[f"students.{name}.structure.batch_size"] = student.structure.batch_size
    return found


def student_method(method: str) -> str | None:
    """A line if train.method names the kind of a student; None if it does not."""
    if method not in STUDENTS:
        return None
    return (
        f"train.method: {method} trains a student of a finished denoiser: describe it under "
        "`students`, list its name in `distil`, and leave denoising here"
    )
