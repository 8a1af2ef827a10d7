"""What a sweep whose keys are a student's trains: that student, of the denoiser that lies there."""

from collections.abc import Iterable
from pathlib import Path

from foundation.did_you_mean import spelling_hint
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.stage_code import STAGE_PARAMS

SECTION = "students."


def swept_student(space: Iterable[str], base: Params, where: str) -> str | None:
    """The student of which every key of the space is; None: no key is of a student.

    Raises ParamsError for keys of several students, of a student and of anything else, and for a
    student that is not trained.
    """
    own = [key for key in space if key.startswith(SECTION)]
    names = list(dict.fromkeys(key.split(".")[1] for key in own))
    if not names:
        return None
    other = [key for key in space if not key.startswith(SECTION)]
    if other:
        raise ParamsError(
            f"{where}: space: {own[0]} is of a student and {other[0]} is not: a sweep trains "
            "either the denoiser or one student of the denoiser that lies in outputs/ema: make "
            "two sweeps of it"
        )
    if len(names) > 1:
        raise ParamsError(
            f"{where}: space: keys of the students {names[0]} and {names[1]}: a sweep trains one "
            "student: make a sweep of each"
        )
    name = names[0]
    if name not in base.students:
        hint = spelling_hint(name, base.students) or ", which is empty: describe it there"
        raise ParamsError(
            f"{where}: space: {own[0]}: {name!r:.80} is not a name under students{hint}"
        )
    if name not in base.distil:
        raise ParamsError(
            f"{where}: space: {own[0]}: distil does not list {name}, so that the whole pipeline "
            "would not train the best one: add it there"
        )
    return name


def measured_keys(student: str | None, sampler: str) -> tuple[str, ...]:
    """The params that decide a trial's training and how it is judged at its rungs."""
    if student is not None:
        return (f"{SECTION}{student}",)
    return (*STAGE_PARAMS["train"], f"sampling.{sampler}")


def check_teachers(teachers: Iterable[Path]) -> None:
    """Raise ValueError if weights of a teacher are missing."""
    for path in teachers:
        if not path.is_file():
            raise ValueError(
                f"{path}, a teacher of the trials, is missing: dvc repro reconstruct  makes it"
            )
