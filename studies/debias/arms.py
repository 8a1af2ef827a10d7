"""The arms of the study: ways to other shares, each upon one of three trainings."""

from dataclasses import dataclass, replace
from typing import Literal

Training = Literal["plain", "labelled", "resampled"]
"""plain: unconditional, as the data are; labelled: with the classes as labels; resampled: plain, on
data whose rare images are repeated."""
Way = Literal["none", "labels", "marginal", "distribution", "shift", "clean"]


@dataclass(frozen=True)
class Arm:
    """One way to draw images."""

    training: Training = "plain"
    way: Way = "none"
    weight: float | None = None
    """Strength of what steers; None: nothing does."""
    bank: int = 0
    """Unlabelled images of the bank of the predictor that steers, if one does; 0: it has none."""


ARMS: dict[str, Arm] = {
    "unguided": Arm(),
    "marginal": Arm(way="marginal", weight=1.15, bank=2048),
    "marginal_no_bank": Arm(way="marginal", weight=1.0),
    "distribution": Arm(way="distribution", weight=20.0),
    "class_shift": Arm(way="shift", weight=1.0),
    "clean_classifier": Arm(way="clean", weight=1.0),
    "resampled": Arm("resampled"),
    "conditional": Arm("labelled", "labels"),
}
"""{name: arm}. The weight of `marginal` was chosen on seed 20; `marginal_no_bank` is the same by
the hidden state alone, at every noise level. Controls: nothing; the mean of a class added to the
hidden state; Jeffrey's rule with a classifier of clean images; training on repeated images; and the
free upper bound, a denoiser that knows the labels, drawn with those of the target.
"""
GROUP = 64
"""Images of a group of `distribution`."""
TUNING_SEED = 20
"""Rows of it are in no table."""


def weighted(arm: Arm, weight: float | None) -> Arm:
    """The arm with another weight, if it has one; None: its own."""
    return arm if weight is None or arm.weight is None else replace(arm, weight=weight)


def row_name(data: str, name: str, arm: Arm, seed: int) -> str:
    """DATA-ARM-WEIGHT-SEED, the name of a row's file; an arm that nothing steers has no WEIGHT."""
    weight = () if arm.weight is None else (str(float(arm.weight)).removesuffix(".0"),)
    return "-".join((data, name, *weight, str(seed)))
