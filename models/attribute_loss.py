"""How much the error at each noise level says of which class an image belongs to.

Errors are squared and summed over pixels (models/errors.py). Distances and noise levels are in data
units. Source of the overlap and its weight: Yue et al., "Few-shot learner parameterization by
diffusion time-steps" (TiF, arXiv 2403.02649), whose formulas lose all digits where classes lie far
apart; here they are taken in logarithms. The distance deviates from TiF's (`class_distance`).
"""

import math

import numpy as np
import torch
from torch import Tensor

STEPS = 500
"""Distances d + 1, ..., d + STEPS that the weight compares d with (TiF)."""
QUANTILE = 0.1
"""Of the squared distances between classes at each position; not TiF's, see `class_distance`."""
PAIRS, NUMBERS = 1 << 16, 1 << 22
"""Most pairs of images that a distance looks at, and numbers of them at once."""
KINDS = ("uniform", "likelihood", "time_step")
"""Names of weights."""


def log_overlap(d: Tensor | float, sigma: Tensor | float) -> Tensor:
    """ln of `overlap`, float64, finite where the overlap itself is too small for a number."""
    ratio = torch.as_tensor(d, dtype=torch.float64) / (
        2 * torch.as_tensor(sigma, dtype=torch.float64)
    )
    return math.log(2) + torch.special.log_ndtr(-ratio)


def overlap(d: Tensor | float, sigma: Tensor | float) -> Tensor:
    """l(d) = 2 Phi(-d / 2 sigma): common mass of two Gaussians N(., sigma^2) at distance d.

    Half of it is the error of the best classifier of two points, equally likely, from one noisy
    image. 1 at d = 0. The arguments broadcast; float64.
    """
    return log_overlap(d, sigma).exp()


def time_step_weight(d: Tensor | float, sigma: Tensor | float) -> Tensor:
    """w = l(d) / (l(d) + sum_{j=1..500} l(d + j)), float64, in (0, 1], falling in sigma.

    Near 1 where noise blurs what lies at distance d and leaves all that is farther apart, so that
    an error there is of this attribute and no coarser one. Computed as a sigmoid
    of log l(d) - log sum, which needs no l itself. The arguments broadcast.
    """
    d = torch.as_tensor(d, dtype=torch.float64)
    sigma = torch.as_tensor(sigma, dtype=torch.float64)
    farther = torch.arange(1, STEPS + 1, dtype=torch.float64, device=d.device)
    rest = log_overlap(d[..., None] + farther, sigma[..., None]).logsumexp(-1)
    return torch.sigmoid(log_overlap(d, sigma) - rest)


def log_spacing(sigmas: Tensor) -> Tensor:
    """d ln sigma: the width of each level's cell in ln sigma, float64 [S], in any order.

    A cell reaches half way to its neighbours, and as far beyond the ends. One level alone: 1.
    """
    if len(sigmas) == 1:
        return torch.ones(1, dtype=torch.float64, device=sigmas.device)
    places, order = sigmas.double().log().sort()
    gaps = places.diff()
    gaps = torch.cat([gaps[:1], gaps, gaps[-1:]])
    widths = torch.empty_like(places)
    widths[order] = (gaps[:-1] + gaps[1:]) / 2
    return widths


def likelihood_weight(sigmas: Tensor) -> Tensor:
    """1 / sigma^2 d ln sigma, float64 [S].

    With the errors e_c of two classes' exact denoisers, sum w (e_b - e_a) is the log-likelihood
    ratio log p(x | a) - log p(x | b), as far as the levels reach.
    """
    return log_spacing(sigmas) / sigmas.double().square()


def level_weights(kind: str, sigmas: Tensor, distance: float = 0.0) -> Tensor:
    """Weights [S], float64, of squared errors at these levels [S]; the smaller sum is the class.

    uniform: d ln sigma. likelihood: see `likelihood_weight`. time_step: that times
    `time_step_weight(distance, sigma)`; `distance` matters to no other kind.
    """
    if kind == "uniform":
        return log_spacing(sigmas)
    if kind == "likelihood":
        return likelihood_weight(sigmas)
    if kind == "time_step":
        return likelihood_weight(sigmas) * time_step_weight(distance, sigmas)
    raise ValueError(f"unknown weight {kind!r} (known: {', '.join(KINDS)})")


def class_distance(images: Tensor, classes: np.ndarray | Tensor) -> float:
    """d of a task: how far images of different classes lie apart where they are most alike.

    d^2 sums, over positions, the QUANTILE of the squared distances there, which are sums over
    channels, between images of different classes; all pairs of them, or PAIRS. images:
    [N, C, ...]; classes: [N]. Raises ValueError where all are of one class.

    TiF sums likewise, but its released code takes np.percentile(distances, 0.1), the quantile .001,
    and that in latents. On pixels the quantile .001 is nearly the closest pair's at each position,
    and falls to 0 as shots grow: on 4 and 16 shots of Fashion-MNIST d is .08 and .006 by it, and
    1.14 and .96 by the quantile .1 (docs/few_shot.md has the command). At d near 0 the weight
    ignores the classes, so the quantile is .1 here.
    """
    labels = torch.as_tensor(classes, device=images.device)
    flat = images.flatten(2).double()  # [N, C, positions]
    first, second = torch.nonzero(labels[:, None] < labels, as_tuple=True)
    if not len(first):
        raise ValueError("the distance between classes takes images of two classes or more")
    every = -(-len(first) // PAIRS)
    first, second = first[::every], second[::every]
    parts = []
    for some in flat.split(max(1, NUMBERS // (len(first) * flat.shape[1])), dim=2):
        squares = (some[first] - some[second]).square().sum(1)  # [pairs, positions]
        parts.append(squares.quantile(QUANTILE, dim=0).sum())
    return float(torch.stack(parts).sum().sqrt())
