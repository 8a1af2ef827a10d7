"""Exact nearest neighbours inside a set of points."""

import torch
from torch import Tensor

MAX_DISTANCES = 1 << 25
"""Largest number of distances held at once (128 MiB of float32)."""


@torch.no_grad()
def nearest(points: Tensor, k: int) -> Tensor:
    """Indices of the k nearest other points of each point, nearest first.

    Exact Euclidean neighbours, a point is never its own neighbour (its duplicates are), and of two
    equally far points the one with the lower index comes first, so the answer is defined for
    duplicated points too. A point with a NaN or infinite coordinate counts as the farthest of all.
    Distances are summed directly rather than expanded as |a|^2 + |b|^2 - 2ab, which loses small
    ones. Half precision is computed in float32. Memory does not grow beyond MAX_DISTANCES distances
    (or one row). The indices carry no gradient.

    Args:
        points: floating [..., N, F]; leading dimensions are separate sets.
        k: neighbours wanted, at least 1; a set of N points has only N - 1 to give.

    Returns:
        int64 [..., N, min(k, N - 1)].
    """
    if k < 1:
        raise ValueError(f"nearest: k must be at least 1, got {k}")
    if points.dim() < 2 or not points.is_floating_point():
        raise ValueError(
            f"nearest: points must be a floating tensor [..., N, F], "
            f"got {points.dtype} {list(points.shape)}"
        )
    *sets, n, f = points.shape
    k = min(k, n - 1)
    if k < 1 or 0 in sets:
        return torch.empty(*sets, n, max(k, 0), dtype=torch.int64, device=points.device)
    if points.dtype in (torch.float16, torch.bfloat16):
        points = points.float()
    flat = points.detach().reshape(-1, n, f)  # [S, N, F]
    rows = max(1, min(n, MAX_DISTANCES // n))
    sets_at_once = max(1, MAX_DISTANCES // (rows * n))
    found = []
    for group in flat.split(sets_at_once):
        parts = [
            _nearest_rows(group, start, min(start + rows, n), k) for start in range(0, n, rows)
        ]
        found.append(torch.cat(parts, dim=1))
    return torch.cat(found).reshape(*sets, n, k)


def _nearest_rows(sets: Tensor, start: int, stop: int, k: int) -> Tensor:
    """Neighbours of the points start..stop of each set [S, N, F] -> [S, stop - start, k]."""
    with torch.autocast(sets.device.type, enabled=False):
        # [S, rows, N]
        distance = torch.cdist(
            sets[:, start:stop], sets, compute_mode="donot_use_mm_for_euclid_dist"
        )
    # Distances become finite first: the point itself, set to infinity, is then the farthest.
    largest = torch.finfo(distance.dtype).max
    distance.nan_to_num_(nan=largest, posinf=largest)
    distance.diagonal(offset=start, dim1=1, dim2=2).fill_(torch.inf)
    value, index = distance.topk(k, dim=-1, largest=False, sorted=True)
    # topk breaks ties arbitrarily. Where more points than k are as near as the k-th, a stable sort
    # chooses those of lower index.
    tied = (distance <= value[..., -1:]).sum(-1) > k  # [S, rows]
    if tied.any():
        index[tied] = distance[tied].argsort(dim=-1, stable=True)[..., :k]
    # Order the k found by distance, then by index.
    index = index.sort(dim=-1).values
    order = distance.gather(-1, index).argsort(dim=-1, stable=True)
    return index.gather(-1, order)
