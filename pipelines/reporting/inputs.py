"""What the report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.reporting.stage_outputs import Item

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""{name: (images seen, value)}."""


@dataclass(frozen=True)
class Origin:
    """What a run was made from: its params and the state of the code."""

    name: str = ""
    """Of the data set: "digits", or the user's folder."""
    preset: str = ""
    """The preset that the params are closest to; "" if none is known."""
    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """{key: (value in the preset, value here)}."""
    git: Mapping[str, str] = field(default_factory=dict)
    """git.commit, git.branch, git.dirty, git.changed; {} outside git."""


UNKNOWN = Origin()


@dataclass(frozen=True)
class Inputs:
    """All that the page is made of."""

    items: Sequence[Item]
    train: Mapping[str, Any]
    curves: Curves
    dataset: Mapping[str, Any]
    reference: Mapping[str, Any]
    reconstruct: Mapping[str, Any]
    pictures: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    """{item: {"samples": PNG, "real": PNG, "nearest": PNG}}"""
    sheet: bytes | None = None
    """PNG of some images of each class of the data set."""
    origin: Origin = UNKNOWN
    students: Sequence[Item] = ()
    """Items of the students; `items` are those of the denoiser."""
    distilled: Mapping[str, Any] = field(default_factory=dict)
    """outputs/students/students.json."""
