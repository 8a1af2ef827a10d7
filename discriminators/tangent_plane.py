"""Where a sample lies beside the plane through its nearest points of a bank."""

import torch
from torch import Tensor

from discriminators.bank import Bank

SOFTENING = 0.05
"""Added before logarithms, in units of the neighbours' own spread: the gradient stays finite."""
LEAST_SPREAD = 1e-3
"""Least spread of the neighbours along and off the plane, in parts of their mean unit."""
NEAR = 8
"""Neighbours whose mean squared distance is `delta`."""


def tangent_statistics(features: Tensor, bank: Bank, neighbours: int, dims: int) -> Tensor:
    """rho, tau and delta of each sample, [N, 3]; differentiable in the features alone.

    With m the mean of the K nearest points b of the bank, C = b - m, and lambda the squared
    singular values of C, of which the largest `dims` span the plane:

        rho = log(|f - m - plane|^2 / (sum of the other lambda / K) + .05)
        tau = log(|plane|^2 / (sum of the plane's lambda / K) + .05)
        delta = log(mean of the 8 nearest |f - b|^2 / (sum of all lambda / K) + .05)

    where |plane| is the length of f - m inside the plane. Each is invariant under rotation, shift
    and scaling of everything. rho says how far a sample lies off the data, tau how far out in them.

    Args:
        features: [N, F].
        neighbours: K, at least dims + 2.
    """
    wide = features.to(torch.promote_types(features.dtype, torch.float32))
    index = bank.nearest(features, neighbours)  # [N, K]
    with torch.no_grad():
        points = bank.features[index].to(wide)  # [N, K, F]
        k = points.shape[1]
        middle = points.mean(1)
        centred = (points - middle[:, None]).double()
        squares, vectors = torch.linalg.eigh(centred @ centred.mT)  # ascending, [N, K], [N, K, K]
        squares = squares.clamp_min(0)
        total = squares.sum(1)
        tiny = (1e-9 * total).clamp_min(torch.finfo(wide.dtype).tiny)
        inside, outside = squares[:, -dims:], squares[:, :-dims].sum(1)
        scale = inside.clamp_min(tiny[:, None]).rsqrt()
        # Rows are the plane's orthonormal directions, [N, dims, F].
        plane = ((centred.mT @ vectors[:, :, -dims:]) * scale[:, None]).mT.to(wide)
        # Where the neighbours are copies of one image they have no spread, but their unit is one.
        least = bank.unit[index].mean(1).double() * LEAST_SPREAD
        units = [(s / k).maximum(least).to(wide) for s in (outside, inside.sum(1), total)]
    offset = wide - middle
    along = (plane @ offset[..., None])[..., 0]  # [N, dims]
    off = offset - (plane.mT @ along[..., None])[..., 0]
    near = (wide[:, None] - points[:, :NEAR]).square().sum(-1).mean(1)
    lengths = (off.square().sum(1), along.square().sum(1), near)
    found = [(s / unit + SOFTENING).log() for s, unit in zip(lengths, units, strict=True)]
    return torch.stack(found, 1).to(features.dtype)
