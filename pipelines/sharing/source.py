"""Where the weights that are shared lie, and how they are judged: denoiser or student."""

from dataclasses import dataclass
from pathlib import Path

from foundation.did_you_mean import spelling_hint
from foundation.number_names import number_name
from pipelines.reporting.stage_outputs import Item, ResultsError, best_item, read_item
from pipelines.settings.schema import Params
from pipelines.workspace.paths import (
    EMA,
    EVALUATE,
    EVALUATE_STUDENTS,
    STUDENTS,
    TRAIN,
    item_name,
    length_name,
    student_item_name,
)


@dataclass(frozen=True)
class Source:
    """The denoiser of params, or one of its students."""

    student: str | None
    lengths: tuple[float, ...]
    samplers: tuple[str, ...]

    @property
    def training(self) -> Path:
        """Folder of train.json."""
        return TRAIN if self.student is None else STUDENTS / self.student

    def weights(self, length: float) -> Path:
        """The weights of an EMA length."""
        folder = EMA if self.student is None else STUDENTS / self.student
        return folder / f"{length_name(length)}.safetensors"

    def judged(self, length: float, sampler: str) -> Path:
        """Folder of an item."""
        if self.student is None:
            return EVALUATE / item_name(length, sampler)
        return EVALUATE_STUDENTS / student_item_name(self.student, length, sampler)

    def chosen(self, length: float | None, sampler: str | None) -> tuple[str, Item]:
        """(why, item): the item of this length and sampler; the best where several are.

        Raises ValueError for names that params lack, ResultsError where an item was not judged.
        """
        own = "" if self.student is None else f"students.{self.student}."
        if length is not None and length not in self.lengths:
            known = ", ".join(map(number_name, self.lengths))
            raise ValueError(f"--length {number_name(length)}: {own or 'ema.'}lengths has {known}")
        if sampler is not None and sampler not in self.samplers:
            raise ValueError(f"--sampler {sampler}: {own}samplers has {', '.join(self.samplers)}")
        items = [
            self._item(one, name)
            for one in ([length] if length is not None else self.lengths)
            for name in ([sampler] if sampler is not None else self.samplers)
        ]
        by, best = best_item(items)
        return (f", the lowest {by.upper()} of {len(items)} items" if len(items) > 1 else ""), best

    def _item(self, length: float, sampler: str) -> Item:
        folder = self.judged(length, sampler)
        if self.student is not None and not folder.is_dir():
            raise ResultsError(f"{folder} is missing: dvc repro evaluate_students  makes it")
        return read_item(folder)


def source_of(params: Params, student: str | None) -> Source:
    """The denoiser (None), or the student of this name.

    Raises ValueError for a name that params do not train.
    """
    if student is None:
        return Source(None, params.ema.lengths, params.samplers)
    if student not in params.students:
        hint = spelling_hint(student, params.students) or ", which is empty"
        raise ValueError(f"--student {student} is not a name under students{hint}")
    if student not in params.distil:
        raise ValueError(
            f"--student {student}: distil does not list it, so it is not trained: add it there and "
            "run  dvc repro"
        )
    one = params.students[student]
    return Source(student, one.lengths, one.samplers)
