"""What known images say of a noisy one's attribute: the exact posterior where noise is large."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 16
"""Larger images are averaged over square blocks, so that no side is above this."""
BETWEEN = (0.4, 0.8)
"""Noise levels between which the bank gains trust, over the distance to the nearest image."""
ASKED = 1024
"""Images whose nearest other one is looked for."""


class AttributeBank(nn.Module):
    """Images x_i whose values are known with probabilities p_i, and Bayes' rule.

    Of data that are these images, each as frequent,

        p_sigma(value | x) = sum_i w_i(x) p_i(value),  w = softmax_i(-|x - x_i|^2 / 2 sigma^2)

    is exact at every noise level and nothing has to be trained. For the data that the images were
    drawn from it is good where the noise reaches over several images, and useless far below, where
    the nearest image alone decides. `trust` says which of both a level is: it rises from 0 to 1 in
    ln sigma, between BETWEEN times the mean distance from an image to its nearest other one.
    A mean over f x f pixels has the noise sigma / f, so Bayes' rule holds for averaged images too.

    Args:
        images: float [N, C, H, W] in data units, at least two.
        probs: p_i, [N, A], each row adds up to 1.
    """

    images: Tensor  # [N, c h w], averaged
    probs: Tensor  # [N, A]
    nearest: Tensor  # [], mean distance to the nearest other image
    factor: Tensor  # [], int64

    def __init__(self, images: Tensor, probs: Tensor):
        super().__init__()
        factor = block_side(images.shape[2], images.shape[3])
        flat = F.avg_pool2d(images.float(), factor).flatten(1)
        self.register_buffer("images", flat)
        self.register_buffer("probs", probs.float())
        self.register_buffer("nearest", nearest_distance(flat))
        self.register_buffer("factor", torch.tensor(factor))

    @classmethod
    def empty(cls, count: int, size: int, values: int) -> "AttributeBank":
        """One whose numbers are to be loaded: `count` images of `size` numbers each."""
        bank = cls(torch.zeros(2, size, 1, 1), torch.zeros(2, values))
        bank.images, bank.probs = torch.zeros(count, size), torch.zeros(count, values)
        return bank

    def trust(self, sigma: Tensor) -> Tensor:
        """From 0, where the bank is not to be asked, to 1, where it alone is; [B]."""
        low, high = (share * self.nearest for share in BETWEEN)
        place = (sigma.to(low) / self.factor / low).log() / (high / low).log()
        return place.clamp(0, 1)

    def log_probs(self, x: Tensor, sigma: Tensor) -> Tensor:
        """log p_sigma(value | x), [B, A], differentiable in x [B, C, H, W]; sigma [B]."""
        small = F.avg_pool2d(x.to(self.images), int(self.factor)).flatten(1)
        level = (sigma.to(self.images) / self.factor)[:, None]
        # -|x - x_i|^2 / 2 sigma^2 without |x|^2, which is the same for all i
        near = (small @ self.images.T - self.images.square().sum(1) / 2) / level.square()
        known = self.probs.clamp_min(1e-6).log()
        return (near.log_softmax(1)[:, :, None] + known).logsumexp(1).log_softmax(1)

    @property
    def prior(self) -> Tensor:
        """Share of each value among the images, [A]."""
        return self.probs.mean(0)


def block_side(height: int, width: int) -> int:
    """Side of the blocks whose means leave no side above SIDE; a rest at the edge is left out."""
    return max(1, min(math.ceil(max(height, width) / SIDE), height, width))


def nearest_distance(flat: Tensor) -> Tensor:
    """The mean distance from the first ASKED rows of [N, D] to the nearest other, copies apart."""
    found = []
    for start in range(0, min(len(flat), ASKED), 64):
        part = flat[start : start + 64]
        # without products of matrices, whose rounding would part a row from its copy
        distances = torch.cdist(part, flat, compute_mode="donot_use_mm_for_euclid_dist")
        found.append(distances.masked_fill(distances == 0, torch.inf).min(1).values)
    nearest = torch.cat(found)
    known = nearest.isfinite()
    return nearest[known].mean() if known.any() else flat.new_tensor(1.0)
