"""What the report reads of the stages' JSON files, and of which kind each part is.

Every part may be missing, as files of older versions lack some. Further keys may hold anything.
"""

from typing import Any

from pydantic import BaseModel, NonNegativeInt, ValidationError

Mapping = dict[str, Any] | None


class _Part(BaseModel, extra="allow", strict=True):
    pass


class _Protocol(_Part):
    versions: Mapping = None
    notes: list[Any] | None = None
    copies: Mapping = None


class _Gate(_Part):
    open_fraction: float | None = None
    shut_reasons: dict[str, NonNegativeInt] | None = None


class _Train(_Part):
    total_nimg: NonNegativeInt = 0
    structure_kind: str = "none"
    structure_plays: NonNegativeInt = 0
    gate: _Gate | None = None
    final: Mapping = None
    batch_size: NonNegativeInt | None = None
    num_parameters: NonNegativeInt | None = None
    skipped_steps: NonNegativeInt | None = None
    sigma_bin_edges: list[float] | None = None


class _Dataset(_Part):
    num_images: NonNegativeInt = 0
    num_train: NonNegativeInt = 0
    num_held_out: NonNegativeInt = 0
    resolution: NonNegativeInt = 0
    channels: NonNegativeInt = 0
    num_classes: NonNegativeInt = 0
    num_captions: NonNegativeInt | None = None
    label_names: list[str] | None = None
    class_counts: list[NonNegativeInt] | None = None
    num_unlabelled: NonNegativeInt = 0
    empty_classes: list[str] | None = None
    skipped: list[Any] | Mapping = None
    untrained_classes: Mapping = None
    other_files: dict[str, NonNegativeInt] | None = None
    versions: Mapping = None


class _Reference(_Part):
    protocol: _Protocol | None = None
    versions: Mapping = None


class _Length(_Part):
    relative_profile_error: float | None = None


class _Reconstruct(_Part):
    lengths: dict[str, _Length] | None = None


class _Student(_Part):
    name: str
    kind: str | None = None


class _Students(_Part):
    students: list[_Student] = []


class _Item(_Part):
    protocol: _Protocol = _Protocol()


SHAPES: dict[str, type[_Part]] = {
    "train.json": _Train,
    "dataset.json": _Dataset,
    "reference.json": _Reference,
    "reconstruct.json": _Reconstruct,
    "students.json": _Students,
    "metrics.json": _Item,
}
"""By the file's name."""


def check_shape(name: str, content: dict[str, Any]) -> None:
    """Raise ValueError, which names the first odd part, unless all is as the file's name asks."""
    try:
        if name in SHAPES:
            SHAPES[name].model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{key} is {problem['input']!r:.60}: {problem['msg'].lower()}") from None
