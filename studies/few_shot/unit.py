"""One unit of the study: a task with its denoiser, an arm, a number of shots and a draw."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.denoising_classifier import decide, level_errors, spread_levels
from foundation.atomic_files import write_text
from foundation.json_hash import json_hash
from models.attribute_loss import KINDS, STEPS, class_distance, level_weights, likelihood_weight
from models.denoiser import load_denoiser
from models.weights import file_hash
from studies.few_shot.tasks import Task
from studies.standing_row import standing_row
from training.few_shot.class_adapters import ClassAdapters
from training.few_shot.controls import logistic_regression, nearest_pixels
from training.few_shot.fit import fit_adapter
from training.few_shot.settings import FitSettings


def unit(
    task: Task,
    arm: str,
    settings: FitSettings,
    shots: int,
    draw: int,
    levels: int,
    rows: Path,
) -> dict[str, Any]:
    """Fit and judge, unless the row stands; returns the row."""
    path = rows / f"{task.name}-{arm}-{shots}-{task.seed}-{draw}.json"
    facts = [task.facts(), file_hash(task.denoiser), settings.plain(), shots, draw, levels]
    mark = json_hash(facts)[:16]
    kept = standing_row(path, mark)
    if kept is not None:
        return kept
    start = time.process_time()
    row = {
        "task": task.name,
        "arm": arm,
        "shots": shots,
        "seed": task.seed,
        "draw": draw,
        "fingerprint": mark,
        "steps": settings.steps,
        **measured(task, settings, shots, draw, levels),
        "processor_seconds": round(time.process_time() - start, 1),
    }
    write_text(path, json.dumps(row, indent=1) + "\n")
    print(f"{path.stem}: {row['accuracy']}", flush=True)
    return row


def measured(
    task: Task, settings: FitSettings, shots: int, draw: int, levels: int
) -> dict[str, Any]:
    """{"images", "distance", "accuracy": {method: share of right answers}}."""
    denoiser = load_denoiser(task.denoiser)
    shown = task.draw(shots, draw)
    images, test = denoiser.codec.encode(shown.shots), denoiser.codec.encode(shown.test)
    count = int(shown.shot_classes.max()) + 1
    adapters = ClassAdapters(denoiser, [str(n) for n in range(count)], settings.sigma_range)
    for number in range(count):
        own = images[shown.shot_classes == number]
        adapters.install(number, fit_adapter(denoiser, own, settings, seed=draw))
    sigmas = spread_levels(*settings.sigma_range, levels)
    errors = level_errors(adapters.errors, count, test, sigmas, draw)
    distance = class_distance(images, shown.shot_classes)
    found = {
        **{kind: decide(errors, level_weights(kind, sigmas, distance)) for kind in KINDS},
        "underflowed": decide(errors, underflowed_weight(sigmas, distance)),
        "logistic": logistic_regression(denoiser, images, shown.shot_classes, test),
        "nearest": nearest_pixels(images, shown.shot_classes, test),
    }
    right = {
        name: float(np.mean(np.asarray(answers) == shown.test_classes))
        for name, answers in found.items()
    }
    return {
        "images": len(test),
        "distance": distance,
        "accuracy": {name: round(value, 5) for name, value in right.items()},
    }


def underflowed_weight(sigmas: Tensor, distance: float) -> Tensor:
    """`time_step` by 1 - erf, as an ablation: 0 at small noise, which leaves a band of levels.

    1 - erf is 0 below sigma = d / 16.7. On 4 and 16 shots of Fashion-MNIST, where d is about 1.1,
    that is about .068: of 32 levels from .05 to 5 only the lowest 2 are lost, so the ablation is
    nearly empty there. It says something where d is larger.
    Weights that are 0 at all levels are left so, and then class 0 is the answer to every image.
    """
    d = distance + torch.arange(STEPS + 1, dtype=torch.float64)
    mass = 1 - torch.special.erf(d / (2 * 2**0.5 * sigmas.double()[:, None]))
    return likelihood_weight(sigmas) * mass[:, 0] / (mass.sum(1) + 1e-18)
