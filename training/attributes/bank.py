"""Makes the bank of a predictor: training images, and what the predictor says of their values."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dataset.slots import slot_normal
from dataset.store import ImageDataset
from models.attribute_bank import AttributeBank
from models.attribute_predictor import AttributePredictor
from models.denoiser import Denoiser
from training.attributes.encoded import encoded

SIGMAS = (0.05, 0.1, 0.2, 0.4)
"""Small noise levels over which the predictor's answers about an image are averaged."""
SURER = 2.0
"""Power of these answers: four looks at an image say more than one, though not four times as much.
1 leaves many images between the values, which guidance then falls short by; chosen on seed 20 of
studies.debias (docs/experiment_log.md)."""
AT_ONCE = 128
MOST = 1 << 28
"""Numbers of all images of a bank together while it is made (1 GiB)."""


def unlabelled_rows(
    candidates: np.ndarray, labelled: np.ndarray, count: int, shape: Sequence[int], seed: int
) -> np.ndarray:
    """`count` of the candidates that are not labelled, at random, int64.

    They are fewer where as many images would take more than MOST numbers.
    candidates, labelled: int64 rows of a data set; shape: of an image as the denoiser sees it.
    """
    others = np.setdiff1d(candidates, labelled)
    order = np.random.default_rng([seed, len(others)]).permutation(others)
    return np.sort(order[: max(0, min(count, MOST // math.prod(shape)))])


def unlabelled_images(
    denoiser: Denoiser,
    dataset: ImageDataset,
    candidates: np.ndarray,
    labelled: np.ndarray,
    count: int,
    seed: int,
) -> Tensor | None:
    """These images in data units, float [M, C, H, W], for `fit`; None where `count` is 0."""
    if not count:
        return None
    rows = unlabelled_rows(candidates, labelled, count, denoiser.image_shape, seed)
    return denoiser.codec.encode(dataset.stored(rows)[0])


def make_bank(
    denoiser: Denoiser, predictor: AttributePredictor, images: Tensor, values: Tensor, seed: int
) -> AttributeBank:
    """A bank of these images. The first have the values, of the others the predictor says them.

    Args:
        images: float [N, C, H, W] in data units, on the CPU.
        values: int64 [L], L at most N.
    """
    logs = torch.zeros(len(images), len(predictor.names))
    for number, sigma in enumerate(SIGMAS):
        for start in range(len(values), len(images), AT_ONCE):
            part = images[start : start + AT_ONCE]
            slots = range(start, start + len(part))
            noise = slot_normal(seed, f"attribute/bank/{number}", slots, images.shape[1:])
            hidden = encoded(denoiser, part + sigma * noise, torch.full((len(part),), sigma))
            logs[start : start + len(part)] += predictor(hidden).log_softmax(1).cpu()
    probs = (SURER * logs / len(SIGMAS)).softmax(1)
    probs[: len(values)] = F.one_hot(values.cpu(), len(predictor.names)).float()
    return AttributeBank(images, probs).to(denoiser.device)
