"""Adversarial losses on logits, the gradient penalty, and a discriminator's accuracy."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D_real - D_fake)) (Jolicoeur-Martineau, arXiv 1807.00734); logits [N]."""
    return F.softplus(fake - real).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D_fake - sg(D_real))), the denoiser's side of `relativistic_d`."""
    return F.softplus(real.detach() - fake).mean()


def non_saturating_d(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D_real) + E softplus(D_fake) (Goodfellow et al., arXiv 1406.2661)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_g(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D_fake), the denoiser's side of `non_saturating_d`; reals play no part."""
    return F.softplus(-fake).mean()


Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, tuple[Loss, Loss]] = {
    "relativistic": (relativistic_d, relativistic_g),
    "non_saturating": (non_saturating_d, non_saturating_g),
}
"""Name -> (loss of the discriminator, loss of the denoiser), each of (real, fake) logits."""


def gradient_penalty(logits: Tensor, features: Tensor) -> Tensor:
    """mean_i |d(sum_j D_j) / d f_i|^2: R1 on real features, R2 on fake (arXiv 1801.04406, Eq. 9).

    logits [N] computed from features [N, F], which must require grad. Differentiable once more.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), features, create_graph=True)
    return gradient.square().sum(-1).mean()


def pair_accuracy(real: Tensor, fake: Tensor, groups: Tensor) -> Tensor:
    """Share of (real, fake) pairs of one group in which the real logit is larger; ties count half.

    This is the area under the ROC curve within groups: 0.5 is chance, whatever the logits' offset.
    Pairs across groups are left out, because the relativistic losses compare within a group only,
    so that each group's logits may have an offset of their own.
    Logits [N]; groups int64 [N], the group labels of both.
    """
    difference = real.detach()[:, None] - fake.detach()[None, :]
    same = (groups[:, None] == groups[None, :]).to(difference.dtype)
    return 0.5 + 0.5 * (same * difference.sign()).sum() / same.sum()
