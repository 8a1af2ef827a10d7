"""The section of the students: each beside the denoiser at as few evaluations, and its pictures."""

from collections.abc import Iterator

from evaluation.metric_table import metric_entry, shown
from foundation.counted import counted
from foundation.number_names import number_name
from pipelines.reporting.html import figure, grid, number, section, table
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.second_floor import second_floor_sentence
from pipelines.reporting.stage_outputs import Item, best_item

TEACHER = "teacher"


def students(inputs: Inputs, best: Item) -> str:
    """A table of students and of the teacher, and samples of the same seeds; "" without students.

    best: the teacher's best setting.
    """
    if not inputs.students:
        return ""
    names = [name for name in shown("tile") if any(name in i.metrics for i in inputs.students)]
    titles = [metric_entry(name, best.metric_name).title for name in names]
    listed = list(_rows(inputs, best))
    rows = [
        (
            item.student or TEACHER,
            _kind(inputs, item),
            number_name(item.ema_length),
            item.sampler,
            item.evaluations,
            *(number(item.value(n)) for n in names),
        )
        for item in listed
    ]
    head = ("who", "kind", "EMA length", "sampler", "evaluations", *titles)
    numeric = (2, *range(4, 5 + len(names)))
    pictures = [
        figure(
            inputs.pictures.get(item.item, {}).get("samples"),
            f"{f'Student {item.student}' if item.student else 'Teacher'}, EMA length "
            f"{number_name(item.ema_length)}, sampler “{item.sampler}”, "
            f"{_evaluations(item)}",
            f"samples of {item.item}",
        )
        for item in _shown(listed)
    ]
    return section("Students", _note(inputs, best), table(head, rows, numeric), grid(*pictures))


def _note(inputs: Inputs, best: Item) -> str:
    lengths = sorted({i.teacher_length for i in inputs.students if i.teacher_length is not None})
    ema = ", ".join(map(number_name, lengths))
    return (
        "A student is a copy of the denoiser, its teacher, that has learned to draw in few network "
        f"evaluations. Teachers are the averages of EMA length {ema}. In the first row stands the "
        "teacher's best setting, and below each number of evaluations the teacher's own settings "
        "of that number, where some were evaluated. Pictures of equal places start from the same "
        "noise and class." + (f" {floor}" if (floor := second_floor_sentence(best)) else "")
    )


def _evaluations(item: Item) -> str:
    """Such as "4 evaluations", or "23.4 (NFE 17 to 41) evaluations"."""
    count = item.network_evaluations or 0
    return (
        counted(count, "evaluation")
        if isinstance(count, int)
        else f"{item.evaluations} evaluations"
    )


def _rows(inputs: Inputs, best: Item) -> Iterator[Item]:
    """The teacher's best, then by number of evaluations the students and the teacher's best."""
    yield best
    counts = sorted({item.network_evaluations or 0 for item in inputs.students})
    for count in counts:
        yield from (i for i in inputs.students if (i.network_evaluations or 0) == count)
        by_sampler: dict[str, list[Item]] = {}
        for item in inputs.items:
            if item.network_evaluations == count and item is not best:
                by_sampler.setdefault(item.sampler, []).append(item)
        yield from (best_item(items)[1] for items in by_sampler.values())


def _shown(listed: list[Item]) -> Iterator[Item]:
    """Of each student and sampler the best EMA length, and of the teacher all that are listed."""
    groups: dict[tuple[str | None, str], list[Item]] = {}
    for item in listed:
        groups.setdefault((item.student, item.sampler), []).append(item)
    for (student, _), items in groups.items():
        if student is None:
            yield from items
        else:
            yield best_item(items)[1]


def _kind(inputs: Inputs, item: Item) -> str | None:
    """The kind of a student; None of the teacher, and where students.json does not tell."""
    entries = inputs.distilled.get("students") or []
    return next((entry.get("kind") for entry in entries if entry["name"] == item.student), None)
