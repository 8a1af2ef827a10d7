"""Fits the adapters of the classes, judges the test images, writes and words the result."""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from dataset.latents import open_dataset
from dataset.store import ImageDataset
from evaluation.denoising_classifier import (
    Round,
    check_rounds,
    classify,
    decide,
    level_errors,
    spread_levels,
)
from foundation.atomic_files import write_text
from models.attribute_loss import KINDS, class_distance, level_weights
from models.codecs import make_codec
from models.denoiser import Denoiser, load_denoiser
from models.weights import tensors_hash
from models.weights_folder import chosen_weights
from pipelines.console.progress import progress
from pipelines.workspace.paths import DATASET, EMA, LATENTS
from training.few_shot.class_adapters import ClassAdapters, class_mark
from training.few_shot.controls import logistic_regression, nearest_pixels
from training.few_shot.fit import fit_adapter
from training.few_shot.settings import FitSettings
from training.few_shot.shots import Chosen, choose

RESULT = "few_shot.json"
CONFIDENCE = 0.95


def learn(
    args: argparse.Namespace, settings: FitSettings, rounds: Sequence[tuple[int, int]]
) -> str:
    """Do all that the command does; returns what it prints. Raises as its parts do."""
    steps = [Round(*one) for one in rounds]
    check_rounds(steps, args.levels)
    latents = LATENTS if args.dataset == DATASET and LATENTS.is_dir() else None
    dataset = open_dataset(args.dataset, latents)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.weights = chosen_weights(args.weights, EMA)  # messages name the file
    denoiser = load_denoiser(args.weights, device)
    check_fits(denoiser, dataset, args, settings)
    names = args.classes.split(",") if args.classes else None
    chosen = choose(
        dataset,
        names,
        args.shots,
        args.images,
        args.seed,
        held_out_only=args.test == "held_out",
    )
    shots, test = (encoded(denoiser, dataset, rows) for rows in (chosen.shots, chosen.test))
    prior = prior_images(denoiser, dataset, chosen, args.prior, args.seed)
    adapters = ClassAdapters(denoiser, chosen.names, settings.sigma_range)
    kept = fit_all(
        adapters, denoiser, shots, chosen.shot_classes, settings, args.seed, prior, args.out
    )
    distance = class_distance(shots, chosen.shot_classes)
    found = judged(adapters, test, args, settings, steps, distance)
    found["logistic regression"] = logistic_regression(denoiser, shots, chosen.shot_classes, test)
    found["nearest pixels"] = nearest_pixels(shots, chosen.shot_classes, test)
    result = {
        "denoiser": tensors_hash(denoiser.state_dict()),
        "dataset_hash": dataset.content_hash,
        "classes": chosen.names,
        "adapters": [adapters.path(n, Path()).name for n in range(len(chosen.names))],
        "shots": args.shots,
        "seed": args.seed,
        "test": args.test,
        "images": len(test),
        "settings": settings.plain() | {"prior": 0 if prior is None else len(prior)},
        "weight": args.weight,
        "distance": distance,
        "rounds": [[one.samples, one.keep] for one in steps],
        "accuracy": {
            method: share(answers == chosen.test_classes) for method, answers in found.items()
        },
        "right_by_class": {
            name: share((found[args.weight] == number)[chosen.test_classes == number])
            for number, name in enumerate(chosen.names)
        },
    }
    write_text(args.out / RESULT, json.dumps(result, indent=1) + "\n")
    return worded(result, args.out, kept)


def judged(
    adapters: ClassAdapters,
    test: Tensor,
    args: argparse.Namespace,
    settings: FitSettings,
    rounds: Sequence[Round],
    distance: float,
) -> dict[str, np.ndarray]:
    """{weight: classes of the test images}: --weight first, and where every class is asked at all
    levels the other weights too, which need no further evaluation."""
    sigmas, classes = spread_levels(*settings.sigma_range, args.levels), len(adapters.names)

    def weigh(kind: str, at: Tensor) -> Tensor:
        return level_weights(kind, at, distance)

    with progress("few_shot: judging images", len(test)) as bar:
        if len(rounds) == 1:
            errors = level_errors(adapters.errors, classes, test, sigmas, args.seed, bar)
            kinds = [args.weight, *(kind for kind in KINDS if kind != args.weight)]
            return {kind: decide(errors, weigh(kind, sigmas)).numpy() for kind in kinds}
        own = partial(weigh, args.weight)
        verdict = classify(adapters.errors, classes, test, sigmas, own, rounds, args.seed, bar)
    return {args.weight: verdict.classes.numpy()}


def check_fits(
    denoiser: Denoiser, dataset: ImageDataset, args: argparse.Namespace, settings: FitSettings
) -> None:
    """Raise ValueError where the denoiser cannot see images of the data set as it was trained."""
    codec = make_codec(dataset.codec)
    shape = codec.data_shape(dataset.image_shape)
    if denoiser.image_shape != shape:
        raise ValueError(
            f"{args.weights} draws images {list(denoiser.image_shape)}, and {args.dataset} holds "
            f"{list(shape)}: prepare the images at the denoiser's resolution and channels"
        )
    if denoiser.codec.describe() != codec.describe():
        raise ValueError(
            f"{args.weights} draws latents of another autoencoder, or pixels where {args.dataset} "
            "holds latents: give a data set that is stored as the denoiser's own was"
        )
    if denoiser.codec.kind != "none" and (settings.flip or settings.shift):
        raise ValueError("--flip and --shift move pixels, and this denoiser sees latents")
    denoiser.codec.look_near(dataset.stored_in)


def encoded(denoiser: Denoiser, dataset: ImageDataset, rows: np.ndarray) -> Tensor:
    """Images [N, C, H, W] in the denoiser's data units."""
    return denoiser.codec.encode(dataset.stored(rows)[0])


def prior_images(
    denoiser: Denoiser, dataset: ImageDataset, chosen: Chosen, count: int, seed: int
) -> Tensor | None:
    """`count` training images of no class asked for, or all there are; None for a count of 0.

    Raises ValueError where there is none.
    """
    if not count:
        return None
    if not len(chosen.others):
        raise ValueError(
            "--prior takes training images of no class asked for, and every image is of one: "
            "name fewer --classes, or leave --prior out"
        )
    rows = np.random.default_rng(seed).permutation(chosen.others)[:count]
    return encoded(denoiser, dataset, np.sort(rows))


def fit_all(
    adapters: ClassAdapters,
    denoiser: Denoiser,
    shots: Tensor,
    classes: np.ndarray,
    settings: FitSettings,
    seed: int,
    prior: Tensor | None,
    folder: Path,
) -> int:
    """Fit, or read from the folder, the adapter of every class; each is written when it is done.

    Returns how many were read.
    """
    total, kept = settings.steps * len(adapters.names), 0
    with progress("few_shot: learning classes", total) as bar:
        for number in range(len(adapters.names)):
            own = shots[classes == number]
            facts = [settings.plain(), seed, None if prior is None else class_mark(images=prior)]
            mark = class_mark(*facts, images=own)
            if adapters.load(number, folder, mark):
                kept += 1
            else:
                tensors = fit_adapter(
                    denoiser, own, settings, seed=seed, prior=prior, progress=after(number, bar)
                )
                adapters.install(number, tensors)
                training = {"shots": len(own), "seed": seed, **settings.plain(), "mark": mark}
                adapters.save(number, folder, training)
            bar((number + 1) * settings.steps)
    return kept


def after(classes: int, report: Callable[[int], None]) -> Callable[[int, int], None]:
    """Steps of one class as steps of all, after so many classes."""
    return lambda done, of: report(classes * of + done)


def share(right: np.ndarray) -> dict[str, Any]:
    """{"right", "of", "value", "low", "high"}: a share with its 95% Wilson interval."""
    count, of = int(right.sum()), len(right)
    if not of:
        return {"right": 0, "of": 0, "value": None, "low": None, "high": None}
    reach = stats.binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return {
        "right": count,
        "of": of,
        "value": count / of,
        "low": float(reach.low),
        "high": float(reach.high),
    }


def worded(result: dict[str, Any], folder: Path, kept: int) -> str:
    """The lines that the command prints. kept: adapters that were fitted before."""
    names, shots, weight = result["classes"], result["shots"], result["weight"]
    lines = [
        f"few_shot: {len(names)} classes ({', '.join(names)}), {shots} "
        f"image{'' if shots == 1 else 's'} of each; {result['images']} other images judged, "
        f"chance {1 / len(names):.0%}",
        f"{'judged by':37} right  95% interval",
    ]
    titles = {kind: f"adapters' errors, weight {kind}" for kind in KINDS}
    titles["logistic regression"] = "logistic regression on the bottleneck"
    for method, found in result["accuracy"].items():
        interval = f"{found['low']:.1%} to {found['high']:.1%}"
        lines.append(f"{titles.get(method, method):37} {found['value']:6.1%}  {interval}")
    lines.append(f"right of each class, weight {weight}:")
    lines += [
        f"  {name}: {found['right']} of {found['of']}"
        for name, found in result["right_by_class"].items()
    ]
    if kept:
        lines.append(f"{kept} of the adapters stood already in {folder}, of the same settings")
    lines.append(f"{folder} holds {len(names)} adapters and {RESULT}")
    return "\n".join(lines) + "\n"
