"""The one table of metrics: title, meaning, which way is better, and where each is shown.

Every page, figure, table and sweep reads it, and pipelines/upkeep/metric_doc.py prints it for
docs/metrics.md. A measured metric without a row here is listed in reports by its key. This module
imports nothing that is slow.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["down", "up", "floor"]
"""Which way a metric is better. floor: it is better the closer it is to its floor."""

Display = Literal[
    "choice",  # the best item of an evaluation is the best by the first of these that is known
    "tile",  # report: headline figures, and columns of the table of EMA lengths
    "length chart",  # report, compare: charts over the EMA length
    "csv",  # reports/fid_by_ema.csv
    "MLflow column",  # the runs table
    "MLflow by length",  # a parent run's curves over the EMA length
    "MLflow curve",  # a parent run's curves over the images seen
    "replicate",  # figure over several seeds
    "comparison curve",  # compare: curves over the images seen
    "study",  # tables of the studies
    "study figure",  # figures of the studies, and shares of the distance from the floor
    "sweep",  # what trials report, and may be judged by
]


@dataclass(frozen=True)
class MetricEntry:
    """One row of the table."""

    title: str
    says: str = ""
    """One plain sentence."""
    better: Better | None = None
    """None: neither high nor low values are better."""
    why: str = ""
    """Why this way is better, as the end of a sentence."""
    shown: tuple[Display, ...] = ()
    floor_beside: bool = False
    """Whether tables with a column for the metric (csv, MLflow) have one for its floor too."""


HEADLINE: tuple[Display, ...] = ("tile", "replicate", "study")
CHARTED: tuple[Display, ...] = (*HEADLINE, "length chart", "csv", "MLflow column")
DISTANCE: tuple[Display, ...] = (*CHARTED, "choice", "MLflow by length", "study figure", "sweep")

# Metrics of generated images. A floor is the same metric between real images and other real images.
METRICS: dict[str, MetricEntry] = {
    "kid": MetricEntry(
        "KID",
        "Kernel distance of features, unbiased at any number of images.",
        "down",
        "0 if the distributions are equal; estimates of 0 scatter on both sides of it",
        DISTANCE,
        floor_beside=True,
    ),
    "fd": MetricEntry(
        "FD",
        "Fréchet distance of features, biased upwards at a small number of images.",
        "down",
        "its floor is what the bias alone gives",
        DISTANCE,
        floor_beside=True,
    ),
    **{
        f"{key}_reconstruction": MetricEntry(
            f"{key.upper()} of reconstructions",
            f"{key.upper()} of held-out images that went through the autoencoder.",
            "down",
            "decoded images cannot be better than reconstructions of real ones",
            ("replicate",),
        )
        for key in ("kid", "fd")
    },
    "reconstruction_psnr": MetricEntry(
        "PSNR of reconstructions",
        "Peak signal-to-noise ratio (dB) of held-out images that went through the autoencoder.",
        "up",
        "the autoencoder alone decides it",
        ("replicate",),
    ),
    "structure_gap": MetricEntry(
        "Structure gap",
        "Mean distance of four metrics of local structure from their floors.",
        "down",
        "0 if neighbourhoods are as among real images",
        (*CHARTED, "study figure"),
    ),
    "conditional_accuracy": MetricEntry(
        "Conditional accuracy",
        "Share of images that a classifier reads as the label asked for.",
        "up",
        "its floor, which held-out images reach, is all that can be expected",
        (*CHARTED, "sweep"),
    ),
    "coverage": MetricEntry(
        "Coverage",
        "Share of real images with a generated image nearby.",
        "up",
        "real images left out lower it; its floor is all that can be expected",
        (*HEADLINE, "sweep"),
    ),
    "knn_two_sample": MetricEntry(
        "kNN two-sample score",
        "Share of an image's nearest neighbours that are of its own set, real or generated; 0.5: "
        "the sets cannot be told apart.",
        "floor",
        "above it the sets stand apart, below it generated images cling to single real ones",
        (*HEADLINE, "sweep"),
    ),
    "knn_distance_w1": MetricEntry(
        "W1 of kNN distances",
        "Wasserstein distance of the real and the generated neighbour distances.",
        "down",
        "its floor is what the number of images alone gives",
        ("study", "sweep"),
    ),
    "recall": MetricEntry(
        "Recall",
        "Share of real images inside the manifold of generated ones.",
        "up",
        "real images left out lower it; its floor is all that can be expected",
        ("study", "sweep"),
    ),
    "precision": MetricEntry(
        "Precision",
        "Share of generated images inside the manifold of real ones.",
        "floor",
        "above it images crowd where real ones are densest, below it they leave the real manifold",
        ("sweep",),
    ),
    "density": MetricEntry(
        "Density",
        "Number of real neighbourhoods that hold a generated image, over k.",
        "floor",
        "above it images crowd where real ones are densest, below it they leave the real manifold",
        ("sweep",),
    ),
    "lid_ratio": MetricEntry(
        "Intrinsic dimension, generated / real",
        "Local intrinsic dimension of generated images over that of real ones.",
        "floor",
        "below it images vary in too few ways, above it in too many",
        ("study",),
    ),
    "lid_log_ratio": MetricEntry(
        "Intrinsic dimension, |log ratio|",
        "Size of the logarithm of that ratio.",
        "down",
        "0 if the dimensions are equal",
    ),
    "lid_generated": MetricEntry(
        "Intrinsic dimension, generated",
        "Local intrinsic dimension of the generated images.",
        "floor",
        "its floor is the dimension of real images",
    ),
    "lid_real": MetricEntry(
        "Intrinsic dimension, real", "Local intrinsic dimension of the held-out images."
    ),
    "fd_train_full": MetricEntry(
        "FD to all training images",
        "Fréchet distance of all generated images to the whole train split.",
        "down",
        "but copies of training images lower it too",
    ),
}

# Curves of a training, over the images seen.
CURVES: dict[str, MetricEntry] = {
    "loss": MetricEntry(
        "Training loss",
        "Mean loss of the training steps, with the learned uncertainty.",
        "down",
        "though runs are compared by the denoising loss",
        ("MLflow curve",),
    ),
    "denoising_loss": MetricEntry(
        "Denoising loss",
        "Mean denoising loss of the training steps, each level of noise weighted as EDM does.",
        "down",
        "the denoiser's error",
        ("MLflow curve", "comparison curve"),
    ),
    "held_out/loss": MetricEntry(
        "Held-out loss",
        "Denoising loss of held-out images, with the same noise each time.",
        "down",
        "the denoiser's error on images that it has never seen",
        ("MLflow curve", "comparison curve", "sweep"),
    ),
    "held_out/train_loss": MetricEntry(
        "Training loss at fixed noise",
        "Denoising loss of as many training images, with the same noise each time.",
        "down",
        "the denoiser's error",
    ),
    "held_out/gap": MetricEntry(
        "Held-out minus training loss",
        "Difference of the two losses at fixed noise.",
        "down",
        "it grows when training images are memorised",
        ("MLflow curve", "comparison curve", "sweep"),
    ),
    "grad_norm": MetricEntry("Gradient norm", "Norm of the gradient before it is clipped."),
    "structure/lambda": MetricEntry(
        "Weight of the game, lambda",
        "Factor of the game's loss beside the denoising loss: 0 in plays with the gate shut, and "
        "for an adapter 1 in the others, so that its mean is their share.",
        shown=("comparison curve",),
    ),
    "structure/logit_gap": MetricEntry(
        "Logit gap of the discriminator",
        "Mean logit of real images minus that of fakes.",
        shown=("comparison curve",),
    ),
    "structure/gate_open": MetricEntry("Gate open", "Share of plays with the gate open."),
    "img_per_s": MetricEntry(
        "Images per second", "Training images seen in a second.", shown=("comparison curve",)
    ),
}

TABLE = METRICS | CURVES

BETTER_WORDS: dict[Better | None, str] = {
    "down": "lower",
    "up": "higher, up to its floor",
    "floor": "near its floor",
    None: "",
}
"""Which way is better, as every page, table and chart writes it. No other place words it."""


def better_sentence(better: Better | None) -> str:
    """ "Better: lower." and so on; "" if no way is better."""
    return f"Better: {BETTER_WORDS[better]}." if better else ""


def metric_entry(key: str, fd_name: str = "FD") -> MetricEntry:
    """The row of a metric; for one without a row, its key as title.

    fd_name: name of the Frechet distance in the features that were used, e.g. FD-Classifier.
    """
    row = TABLE.get(key, MetricEntry(key.replace("_", " ")))
    if key.startswith("fd"):
        return replace(row, title=row.title.replace("FD", fd_name, 1))
    return row


def shown(display: Display) -> list[str]:
    """Keys of the metrics that a display shows, in the order of the table."""
    return [key for key, row in TABLE.items() if display in row.shown]


def shown_with_floors(display: Display) -> list[str]:
    """Keys of the metrics that a display shows, with those of floors: kid, kid_floor, ..."""
    found = []
    for key in shown(display):
        found += [key, f"{key}_floor"] if TABLE[key].floor_beside else [key]
    return found


def cost(better: Better | None, value: float, floor: float | None = None) -> float | None:
    """A number that is lower for better values of the metric; None if no way is better.

    It is the value if lower is better, its negative if higher is, else its distance from the floor
    (None without a floor).
    """
    if better == "down":
        return value
    if better == "up":
        return -value
    return None if better is None or floor is None else abs(value - floor)


def best_of(found: Mapping[str, Mapping[str, float | None]]) -> tuple[str, str] | None:
    """(metric, name) of the best of several results; None if none has a metric of `choice`.

    found: {name: {"kid": ..., "kid_floor": ...}}. The first metric of `choice` that any result has
    decides; results in which it is missing or not finite are ignored.
    """
    for key in shown("choice"):
        costs = {}
        for name, values in found.items():
            value, floor = values.get(key), values.get(f"{key}_floor")
            if value is not None and math.isfinite(value):
                costs[name] = cost(TABLE[key].better, value, floor)
        known = {name: found for name, found in costs.items() if found is not None}
        if known:
            return key, min(known, key=lambda name: known[name])
    return None
