"""Exact nearest neighbours: inside a set of points, and of queries in a bank.

Distances are Euclidean and summed directly, since |a|^2 + |b|^2 - 2ab loses small ones. Direct
distances of all pairs cost much time, so for larger sets one product of matrices gives bounds on
all of them first. Where the bounds of a point's nearest ones overlap, a few candidates are compared
directly; where they do not even prove that the candidates are enough (duplicates, or points close
to each other and far from the rest), all points are. The answer is the same in every case.
"""

from math import isqrt

import torch
from torch import Tensor

MAX_DISTANCES = 1 << 22
"""Largest number of distances held at once (16 MiB of float32, which fit a processor's cache)."""
COLUMNS = 4096
"""Largest part of a bank in one product, whose other side should not be narrow."""
BANK_NUMBERS = 1 << 24
"""Largest part of a bank that is centred at once, in numbers (64 MiB of float32)."""
MARGIN = 8
"""Candidates beyond the k wanted (and half as many as k besides)."""
SMALL = 1 << 19
"""Below this many operations all direct distances are as fast as a product."""


@torch.no_grad()
def nearest(points: Tensor, k: int) -> Tensor:
    """Indices of the k nearest other points of each point, nearest first.

    Exact Euclidean neighbours, a point is never its own neighbour (its duplicates are), and of two
    equally far points the one with the lower index comes first, so the answer is defined for
    duplicated points too. A point with a NaN or infinite coordinate counts as the farthest of all.
    Half precision is computed in float32. Besides one copy of the points, memory does not grow
    beyond a few times MAX_DISTANCES numbers (or one row). On the meta device only shapes count.

    Args:
        points: floating [..., N, F]; leading dimensions are separate sets.
        k: neighbours wanted, at least 1; a set of N points has only N - 1 to give.

    Returns:
        int64 [..., N, min(k, N - 1)]; it carries no gradient.
    """
    _check(k, "nearest", points=points)
    *sets, n, f = points.shape
    k = min(k, n - 1)
    if k < 1 or 0 in sets or points.device.type == "meta":
        return torch.empty(*sets, n, max(k, 0), dtype=torch.int64, device=points.device)
    flat = _full_precision(points).reshape(-1, n, f)  # [S, N, F]
    if _product_pays(n, flat, k):
        return torch.stack([_search(one, one, k, within=True) for one in flat]).reshape(*sets, n, k)
    rows = max(1, min(n, MAX_DISTANCES // n))
    sets_at_once = max(1, MAX_DISTANCES // (rows * n))
    every = torch.arange(n, device=flat.device)
    found = [
        torch.cat([_direct(group[:, own], group, k, own) for own in every.split(rows)], dim=1)
        for group in flat.split(sets_at_once)
    ]
    return torch.cat(found).reshape(*sets, n, k)


@torch.no_grad()
def nearest_in(queries: Tensor, bank: Tensor, k: int) -> Tensor:
    """Indices of the k points of a bank that are nearest to each query, nearest first.

    Exact, in the same order as `nearest`; but a query that lies in the bank is its own neighbour.
    Memory does not grow with the bank.

    Args:
        queries: floating [N, F].
        bank: floating [M, F], on the same device. The wider type of the two is computed in.
        k: neighbours wanted, at least 1; the bank has only M to give.

    Returns:
        int64 [N, min(k, M)].
    """
    _check(k, "nearest_in", queries=queries, bank=bank)
    if queries.dim() != 2 or bank.dim() != 2 or queries.shape[1] != bank.shape[1]:
        raise ValueError(
            f"nearest_in: queries [N, F] and bank [M, F] must be matrices of one width F, "
            f"got {list(queries.shape)} and {list(bank.shape)}"
        )
    k = min(k, len(bank))
    index = torch.empty(len(queries), 0, dtype=torch.int64, device=bank.device)
    if k < 1 or len(queries) == 0:
        return index.new_empty(len(queries), k)
    common = torch.promote_types(queries.dtype, bank.dtype)
    queries = _full_precision(queries.to(common))
    distance = queries.new_empty(len(queries), 0)
    start = 0
    for part in bank.split(max(1, BANK_NUMBERS // max(1, bank.shape[1]))):
        part = _full_precision(part.to(common))
        found = _nearest_in_part(queries, part, min(k, len(part)))
        if len(part) == len(bank):
            return found
        # Parts come in the order of the bank, so a stable sort keeps the lower index first.
        distance = torch.cat([distance, _distances_to(queries, part, found)], dim=1)
        distance, order = distance.sort(dim=1, stable=True)
        index = torch.cat([index, found + start], dim=1).gather(1, order)[:, :k]
        distance = distance[:, :k]
        start += len(part)
    return index


def _nearest_in_part(queries: Tensor, part: Tensor, k: int) -> Tensor:
    if _product_pays(len(queries), part[None], k):
        return _search(queries, part, k, within=False)
    return _all_direct(queries, part, k, within=False)


def _check(k: int, name: str, **points: Tensor) -> None:
    if k < 1:
        raise ValueError(f"{name}: k must be at least 1, got {k}")
    for which, tensor in points.items():
        if tensor.dim() < 2 or not tensor.is_floating_point():
            raise ValueError(
                f"{name}: {which} must be a floating tensor [..., N, F], "
                f"got {tensor.dtype} {list(tensor.shape)}"
            )


def _full_precision(points: Tensor) -> Tensor:
    half = points.dtype in (torch.float16, torch.bfloat16)
    return points.detach().float() if half else points.detach()


def _num_candidates(k: int) -> int:
    return k + max(1, k // 2 + MARGIN)


def _product_pays(num_queries: int, banks: Tensor, k: int) -> bool:
    """Whether a product is faster for queries in each of banks [S, M, F], and its rounding known.

    On a GPU, or where the user asked for a lower precision of products, they may be rounded to
    TF32 or bfloat16.
    """
    _, m, f = banks.shape
    precision = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    return (
        num_queries * m * (f + 16) > SMALL
        and min(num_queries, m // 2) > _num_candidates(k)
        and 0 < f * torch.finfo(banks.dtype).eps < 1 / 128
        and banks.device.type == "cpu"
        and precision in ("none", "ieee")
    )


def _search(queries: Tensor, bank: Tensor, k: int, within: bool) -> Tensor:
    """The k nearest of bank [M, F] to each of queries [N, F]; within: the two are one set.

    Notation: u is the unit roundoff, gamma_n = n u / (1 - n u) bounds the relative error of a sum
    of n products in any order (Higham 2002, section 3.1), c_i = x_i - centre rounded, s_i the
    computed |c_i|^2, h_i = s_i (1/2 - 2 gamma) with gamma = gamma_{F+8}.

    The product gives p_ij = h_j - c_i c_j up to gamma (h_j + |c_i| |c_j|), and
    |c_i| |c_j| <= (|c_i|^2 + |c_j|^2) / 2. The true distance D_ij of x_i and x_j differs from
    |c_i - c_j| by at most u (|c_i| + |c_j|). What h takes off covers all of it:

        p_ij + h_i  <=  D_ij^2 / 2  <=  p_ij + h_i + 5 gamma (s_i + s_j)

    up to underflow, a few F times the smallest normal number. The square of a direct distance is
    within gamma D_ij^2 of D_ij^2. So where the lower bound of every next candidate lies above the
    upper bound of the one before it, direct distances have the same order.
    """
    f, kind = bank.shape[1], torch.finfo(bank.dtype)
    centre = bank.mean(0)
    centred = bank - centre
    square = centred.square().sum(1)
    own_centred = centred if within else queries - centre
    own_square = square if within else own_centred.square().sum(1)
    # NaN, infinity, or too large to be squared and added up
    if not max(square.max(), own_square.max()) < kind.max / 64:
        return _all_direct(queries, bank, k, within)
    gamma = (f + 8) * kind.eps / 2 / (1 - (f + 8) * kind.eps / 2)
    shrink, underflow = 1 - 3 * gamma, 8 * (f + 8) * kind.tiny
    half, own_half = square * (0.5 - 2 * gamma), own_square * (0.5 - 2 * gamma)
    count = _num_candidates(k)
    index = torch.empty(len(queries), k, dtype=torch.int64)
    unproven = [index.new_empty(0)]
    columns = min(len(bank), COLUMNS)
    rows = min(len(queries), max(1, MAX_DISTANCES // columns))
    space = centred.new_empty(rows, columns)
    # Least bounds found in each tile; a single tile can be asked for more afterwards.
    looked_at = k + 1 if columns == len(bank) else count
    for block in torch.arange(len(queries)).split(rows):
        start, stop = int(block[0]), int(block[-1]) + 1
        parts = []
        for first in range(0, len(bank), columns):
            tile = slice(first, min(first + columns, len(bank)))
            lower = space[: stop - start, : tile.stop - first]
            with torch.autocast("cpu", enabled=False):
                torch.mm(own_centred[start:stop], centred[tile].T, out=lower)
            torch.sub(half[tile], lower, out=lower)  # [rows, columns], of D^2 / 2 less own_half
            if within:
                lower.diagonal(offset=start - first).fill_(torch.inf)
            value, column = _least(lower, min(looked_at, lower.shape[1]))
            parts.append((value, column + first))
        value, column = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        if len(parts) > 1:
            value, order = value.topk(count, dim=1, largest=False, sorted=True)
            column = column.gather(1, order)
        value = value + own_half[start:stop, None]
        index[start:stop] = column[:, :k]
        width = 5 * gamma * (own_square[start:stop, None] + square[column[:, :k]])
        apart = value[:, 1 : k + 1] * shrink > value[:, :k] + width + underflow  # [rows, k]
        close = apart.logical_not().any(1).nonzero()[:, 0]  # mostly few rows
        if len(close):
            value, column = value[close], column[close]
            if looked_at < count:
                value, column = _least(lower[close], count)
                value = value + own_half[start + close, None]
            chosen, last = _nearest_of(queries[start + close], bank, column, k)
            index[start + close] = chosen
            enough = 2 * value[:, -1] * shrink > last.square() + underflow
            unproven.append(start + close[~enough])
    rest = torch.cat(unproven)
    if len(rest):
        index[rest] = _all_direct(queries, bank, k, within, rest)
    return index


def _least(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` least of each row of [rows, M], ascending, and their columns [rows, count].

    They lie in the `count` groups of columns whose minima are least, whichever of equal ones are
    taken.
    """
    rows, m = values.shape
    size = isqrt(m // count)  # of a group: as many minima to look through as members afterwards
    if size < 2:
        least = values.topk(count, dim=1, largest=False, sorted=True)
        return least.values, least.indices
    groups = m // size
    whole = groups * size
    minima = values[:, :whole].view(rows, size, groups).amin(1)
    group = minima.topk(count, dim=1, largest=False, sorted=False).indices  # [rows, count]
    inside = torch.arange(size)[:, None] * groups  # [size, 1]
    column = (group[:, None, :] + inside).flatten(1)  # [rows, size * count]
    if whole < m:
        column = torch.cat([column, torch.arange(whole, m).expand(rows, -1)], dim=1)
    least = values.gather(1, column).topk(count, dim=1, largest=False, sorted=True)
    return least.values, column.gather(1, least.indices)


def _nearest_of(queries: Tensor, bank: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(the k nearest of each row's candidates [rows, k], direct distance of the last [rows])."""
    candidates = candidates.sort(dim=1).values
    value, order = _distances_to(queries, bank, candidates).sort(dim=1, stable=True)
    return candidates.gather(1, order[:, :k]), value[:, k - 1]


def _all_direct(
    queries: Tensor, bank: Tensor, k: int, within: bool, chosen: Tensor | None = None
) -> Tensor:
    """Neighbours of the chosen queries (None: all) by all direct distances, [chosen, k]."""
    if chosen is None:
        chosen = torch.arange(len(queries), device=queries.device)
    parts = [
        _direct(queries[None, rows], bank[None], k, rows if within else None)[0]
        for rows in chosen.split(max(1, MAX_DISTANCES // len(bank)))
    ]
    return torch.cat(parts)


def _direct(queries: Tensor, banks: Tensor, k: int, own: Tensor | None) -> Tensor:
    """Neighbours of queries [S, rows, F] in banks [S, N, F] by all distances -> [S, rows, k].

    own: int64 [rows], the place of each query in its bank, which is left out.
    """
    distance = _distances(queries, banks)  # [S, rows, N]
    if own is not None:  # finite distances are below infinity, so the point itself is the farthest
        distance.scatter_(2, own[None, :, None].expand(len(distance), -1, 1), torch.inf)
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


def _distances_to(queries: Tensor, bank: Tensor, index: Tensor) -> Tensor:
    """Direct distance of each query [N, F] to points of the bank, index [N, C] -> [N, C]."""
    rows = max(1, MAX_DISTANCES // max(1, index.shape[1] * bank.shape[1]))
    parts = [
        _distances(some[:, None], bank[own])[:, 0]
        for some, own in zip(queries.split(rows), index.split(rows), strict=True)
    ]
    return torch.cat(parts)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Finite direct distances of a [..., R, F] and b [..., M, F] -> [..., R, M]."""
    with torch.autocast(a.device.type, enabled=False):
        distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    largest = torch.finfo(distance.dtype).max
    return distance.nan_to_num_(nan=largest, posinf=largest)
