"""The arms of the study: ways to other shares, each upon one of three trainings."""

from dataclasses import dataclass
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
    weight: float = 1.0


ARMS: dict[str, Arm] = {
    "unguided": Arm(),
    "marginal": Arm(way="marginal"),
    "distribution": Arm(way="distribution", weight=20.0),
    "class_shift": Arm(way="shift"),
    "clean_classifier": Arm(way="clean"),
    "resampled": Arm("resampled"),
    "conditional": Arm("labelled", "labels"),
}
"""{name: arm}. Controls: nothing; the mean of a class added to the hidden state; Jeffrey's rule
with a classifier of clean images; training on repeated images; and the free upper bound, a denoiser
that knows the labels, drawn with those of the target."""
GROUP = 64
"""Images of a group of `distribution`."""
