"""Shares of an attribute's values among unlabelled images, from what a predictor says of each."""

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_normal
from sampling.guidance.attributes import Attribute

SIGMA = 0.05
"""Noise at which the predictor is asked: little, so that it is sure of most images."""
AT_ONCE = 256
STILL = 1e-4
"""Change of a share in one round below which the estimate stands."""


def source_shares(attribute: Attribute, images: Tensor, seed: int = 0) -> dict[str, float]:
    """{value: its share among the images}, which need no labels.

    The prior of a predictor that saw 200 labels scatters by 0.021 at a share of 0.1. Here the
    predictor only tells the values apart, and thousands of images say how frequent they are.
    images: float [N, C, H, W] in data units. Raises ValueError where there are none.
    """
    if not len(images):
        raise ValueError("all training images are labelled, none is left to count: label fewer")
    probs = []
    for start in range(0, len(images), AT_ONCE):
        part = images[start : start + AT_ONCE]
        noise = slot_normal(
            seed, "debias/source", range(start, start + len(part)), images.shape[1:]
        )
        with torch.no_grad():
            logs = attribute.log_probs(part + SIGMA * noise, torch.full((len(part),), SIGMA), None)
        probs.append(logs.double().exp().cpu().numpy())
    prior = attribute.prior.double().cpu().numpy()
    found = likeliest_shares(np.concatenate(probs), prior)
    return dict(zip(attribute.names, found.tolist(), strict=True))


def likeliest_shares(probs: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The shares [A] under which the images are likeliest, by expectation maximisation.

    probs: float64 [N, A], p(value | x) of each image by a predictor whose prior is [A], above 0.
    """
    shares = prior
    while True:
        # s_a <- mean_n normalise_a(s_a / p_a p(a | x_n)): prior shift (Saerens et al. 2002).
        shifted = shares / prior * probs  # [N, A]
        better = (shifted / shifted.sum(1, keepdims=True)).mean(0)
        if np.abs(better - shares).max() < STILL:
            return better
        shares = better
