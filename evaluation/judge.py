"""Computes all metrics of one set of generated images, with their floors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.classifier import classifier_accuracy
from evaluation.config import EvaluationConfig
from evaluation.copies import copy_notes
from evaluation.copying import drawn_copy_ratios
from evaluation.fairness.judged import judge_shares
from evaluation.fairness.wanted import WantedShares, answers_of
from evaluation.floors import Drawn, draw_metrics, equal_size
from evaluation.frechet import feature_statistics, frechet_distance
from evaluation.gap import RESOLUTION, gap_with_floor
from evaluation.kept.floors import Floors, floors_file, read_floors, write_floors
from evaluation.measures import MEASURES, measure
from evaluation.real_side import RealSide
from evaluation.reference import Reference

FEATURES, MEASUREMENTS = "features of the images", "metrics and their floors"
"""What `judge` tells that it does."""


def judge(
    generated: np.ndarray,
    labels: np.ndarray | None,
    reference: Reference,
    config: EvaluationConfig,
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
    floors: Path | None = None,
    wanted: WantedShares | None = None,
) -> dict:
    """Measure generated images against a reference made by `build_reference`.

    Every metric compares n generated with n held-out images, and is the mean over `floor_draws`
    random draws. Its floor compares n train images with the same held-out images. n = min(number
    generated, half the held-out split, train split); real images are distinct (copies.py).

    Args:
        generated: uint8 [M, H, W, C].
        labels: int64 [M] that the images were drawn with (-1: unconditional); None: all -1.
        reference: `load_reference(folder)`.
        config: numbers of draws, neighbours, subsets.
        seed: of the draws and of the KID subsets.
        progress: called with (what is done, done, total) after each batch of the extractor and, as
            another thing that is done, after each measurement.
        floors: folder in which floors are kept, for they are the same whatever is judged; None:
            they are computed anew. The result is the same.
        wanted: the shares of classes that the images should have; None: they are not judged.

    Returns:
        A JSON-able dict {"metrics", "n", "metric_name", "protocol"}, with `wanted` also "shares"
        (evaluation/fairness). Each metric is {"value", "std"
        over draws, "floor", "floor_std" over draws} or a part of that; undefined numbers are
        None. Raises ValueError for images of another type or features that are not finite.
    """
    if generated.dtype != np.uint8 or generated.ndim != 4 or len(generated) < 2:
        raise ValueError(
            f"judge: expected at least 2 uint8 images [M, H, W, C], "
            f"got {generated.dtype} {list(generated.shape)}"
        )
    labels = np.full(len(generated), -1) if labels is None else np.asarray(labels)
    n = equal_size(len(generated), len(reference.train_features), len(reference.held_out_features))
    file = None if floors is None else floors_file(floors, reference, config, n, seed)
    kept = None if file is None else read_floors(file)
    measurements = config.floor_draws * (2 if kept is None else 1)

    def report(what: str, done: int, total: int) -> None:
        if progress is not None:
            progress(what, done, total)

    features = reference.extractor.features(generated, config.batch_size, partial(report, FEATURES))
    if not np.isfinite(features).all():
        raise ValueError("judge: the features of the generated images hold NaN or infinity")
    metrics, found = against_reference(
        features,
        reference,
        config,
        n,
        seed,
        kept,
        lambda done: report(MEASUREMENTS, done, measurements),
    )
    if file is not None and kept is None:
        write_floors(file, found)
    if reference.classifier is not None and (labels >= 0).any():
        metrics["conditional_accuracy"] = {
            "value": classifier_accuracy(
                reference.classifier, generated, labels, np.arange(len(generated))
            ),
            "floor": reference.manifest["held_out_accuracy"],
        }
    protocol = _protocol(reference, config, n, len(generated), seed)
    shares = {}
    if wanted is not None:
        assert reference.classifier is not None  # wanted_shares refuses a reference without
        answers = answers_of(reference.classifier, generated, np.arange(len(generated)))
        real = reference.train_features, reference.held_out_features
        judged = judge_shares(answers, features, real, wanted, config, seed)
        metrics |= judged.metrics
        shares = {"shares": {name: jsonable(entry) for name, entry in judged.shares.items()}}
        protocol["target"] = wanted.told
    return {
        "metrics": {name: jsonable(entry) for name, entry in metrics.items()},
        "n": n,
        "metric_name": reference.manifest["metric_name"],
        "protocol": protocol,
        **shares,
    }


def against_reference(
    features: np.ndarray,
    reference: Reference,
    config: EvaluationConfig,
    n: int,
    seed: int,
    kept: Floors | None,
    done: Callable[[int], None],
) -> tuple[dict[str, dict], Floors]:
    """Metrics of features [M, F] of the reference's extractor, and the floors that they stand by.

    kept: the floors, if they are known already. done: called with the number of measurements made.
    """
    drawn, floors = _draw(features, reference, config, n, seed, kept, done)
    metrics = with_floors(drawn, floors.drawn)
    metrics["fd_train_full"] = {
        "value": frechet_distance(
            *feature_statistics(features), reference.train_mean, reference.train_cov
        )
    }
    metrics["copy_ratio"] = drawn_copy_ratios(
        features, reference.train_features, reference.held_out_features, seed
    )
    return metrics, floors


def _draw(
    features: np.ndarray,
    reference: Reference,
    config: EvaluationConfig,
    n: int,
    seed: int,
    kept: Floors | None,
    done: Callable[[int], None],
) -> tuple[Drawn, Floors]:
    """Metrics of the features in each draw, and the floors, which are measured unless kept."""
    sets = {"model": features}
    if kept is None:
        sets["floor"] = reference.train_features
    distances = []

    def prepare(real: np.ndarray, draw: int) -> RealSide:
        side = RealSide(real, config.k, None if kept is None else kept.distances[draw])
        distances.append(side.distances)
        return side

    drawn = draw_metrics(
        partial(measure, config=config),
        sets,
        reference.held_out_features,
        n,
        config.floor_draws,
        seed,
        done,
        prepare,
    )
    return drawn["model"], kept or Floors(drawn["floor"], np.stack(distances))


def _protocol(
    reference: Reference, config: EvaluationConfig, n: int, num_generated: int, seed: int
) -> dict:
    """What one must know to compare a metric with a published one."""
    manifest = reference.manifest
    copies = manifest.get("copies", {})
    size = min(config.kid_subset_size, n)
    k = min(config.k, n - 1)
    notes = copy_notes(copies) if copies else []
    if size < config.kid_subset_size:
        notes.append(f"KID subsets reduced from {config.kid_subset_size} to n = {n} images")
    if k < config.k:
        notes.append(f"k reduced from {config.k} to n - 1 = {k}")
    if n <= manifest["num_features"]:
        notes.append(bias_note(n, manifest["num_features"]))
    return manifest["protocol"] | {
        "quantisation": "uint8, rounded to nearest and clipped, no file format in between",
        "n": n,
        "num_generated": num_generated,
        "num_train": manifest["num_train"],
        "num_held_out": manifest["num_held_out"],
        "copies": copies,
        "dataset_hash": manifest["dataset_hash"],
        "draws": config.floor_draws,
        "k": k,
        "kid_subsets": config.kid_subsets,
        "kid_subset_size": size,
        "seed": seed,
        "resolution_of_structure_gap": f"{RESOLUTION:g} floor standard deviations",
        "notes": notes,
    }


def bias_note(n: int, num_features: int) -> str:
    """What a reader must know where n images are no more than the features."""
    return (
        f"n = {n} is not above the {num_features} features: Frechet distances are strongly biased "
        "upwards, judge by KID"
    )


def with_floors(drawn: Drawn, floor_drawn: Drawn) -> dict[str, dict]:
    """Mean and deviation of each metric over the draws, beside its floor's; and structure_gap."""
    metrics: dict[str, dict] = {
        name: {
            "value": drawn[name].mean(),
            "std": drawn[name].std(ddof=1),
            "floor": floor_drawn[name].mean(),
            "floor_std": floor_drawn[name].std(ddof=1),
        }
        for name in MEASURES
    }
    metrics["structure_gap"] = gap_with_floor(drawn, floor_drawn)
    return metrics


def jsonable(entry: dict) -> dict:
    """Numbers to six digits (further ones depend on the order of sums); None if not finite."""
    out: dict[str, float | bool | None] = {}
    for key, value in entry.items():
        if value is None or isinstance(value, bool):
            out[key] = value
        else:
            out[key] = float(f"{float(value):.6g}") if np.isfinite(value) else None
    return out
