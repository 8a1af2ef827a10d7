"""What each metric is called and says, for the report and for comparisons."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Meaning:
    """A metric's title, a plain sentence, and which way is good ("floor": near the floor)."""

    title: str
    says: str
    good: Literal["lower", "higher", "floor"]


MEANINGS = {
    "kid": Meaning("KID", "Kernel distance of features; unbiased at any sample size.", "lower"),
    "fd": Meaning("FD", "Fréchet distance of features; biased upwards at small n.", "lower"),
    "fd_train_full": Meaning("FD to all training images", "Against the full train split.", "lower"),
    "conditional_accuracy": Meaning(
        "Conditional accuracy", "Share that a classifier reads as the label asked for.", "higher"
    ),
    "precision": Meaning("Precision", "Share of samples inside the real manifold.", "floor"),
    "recall": Meaning("Recall", "Share of real images inside the generated manifold.", "higher"),
    "density": Meaning("Density", "How densely samples lie among real neighbours.", "floor"),
    "coverage": Meaning("Coverage", "Share of real images with a sample nearby.", "higher"),
    "knn_two_sample": Meaning(
        "kNN two-sample score", "Can neighbours tell real from generated? 0.5: no.", "floor"
    ),
    "knn_distance_w1": Meaning(
        "W1 of kNN distances", "Distance between the spreads of neighbour distances.", "lower"
    ),
    "lid_ratio": Meaning(
        "Intrinsic dimension, ratio", "Generated over real local dimension; 1: equal.", "floor"
    ),
    "lid_log_ratio": Meaning(
        "Intrinsic dimension, |log ratio|", "The same, as a distance from equality.", "lower"
    ),
    "lid_generated": Meaning("Intrinsic dimension, generated", "Of generated images.", "floor"),
    "lid_real": Meaning("Intrinsic dimension, real", "Of the held-out images.", "floor"),
    "structure_gap": Meaning("Structure gap", "Mean of the four local gaps to the floor.", "lower"),
}


def meaning(name: str, metric_name: str = "FD") -> Meaning:
    """The entry of a metric; FD bears the name of its feature network."""
    found = MEANINGS.get(name, Meaning(name.replace("_", " "), "", "floor"))
    if name.startswith("fd"):
        return Meaning(found.title.replace("FD", metric_name, 1), found.says, found.good)
    return found


# What is reported, and which way is better.
DIRECTIONS = {
    "kid": "min", "fd": "min", "knn_two_sample": "min", "knn_distance_w1": "min",
    "precision": "max", "recall": "max", "density": "max", "coverage": "max",
    "conditional_accuracy": "max", "held_out/loss": "min", "held_out/gap": "min",
}  # fmt: skip
