"""Makes the bank of a predictor: training images, and what the predictor says of their values."""

from collections.abc import Mapping

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
AT_ONCE = 128
MOST = 1 << 28
"""Numbers of all images of a bank together while it is made (1 GiB)."""


def unlabelled_rows(
    dataset: ImageDataset, labelled: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Rows of training images, at random and with no labelled one, that make a bank of `count`.

    They are fewer where images are so large that as many would take more than MOST numbers.
    """
    count = min(count, MOST // int(np.prod(dataset.image_shape)))
    others = np.setdiff1d(dataset.train_indices, labelled)
    order = np.random.default_rng([seed, len(others)]).permutation(others)
    return np.sort(order[: max(0, count - len(labelled))])


def make_bank(
    denoiser: Denoiser,
    predictor: AttributePredictor,
    images: Tensor,
    known: Mapping[int, int],
    seed: int,
) -> AttributeBank:
    """A bank of these images, whose values are known or as the predictor says.

    Args:
        images: float [N, C, H, W] in data units, on the CPU.
        known: {number of an image: its value}.
    """
    logs = torch.zeros(len(images), len(predictor.names))
    for number, sigma in enumerate(SIGMAS):
        for start in range(0, len(images), AT_ONCE):
            part = images[start : start + AT_ONCE]
            slots = range(start, start + len(part))
            noise = slot_normal(seed, f"attribute/bank/{number}", slots, images.shape[1:])
            hidden = encoded(denoiser, part + sigma * noise, torch.full((len(part),), sigma))
            logs[start : start + len(part)] += predictor(hidden).log_softmax(1).cpu()
    probs = (logs / len(SIGMAS)).softmax(1)
    for place, value in known.items():
        probs[place] = F.one_hot(torch.tensor(value), len(predictor.names)).float()
    return AttributeBank(images, probs).to(denoiser.device)
