"""Metrics of local structure, computed from the k nearest neighbours of each image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

MAX_DISTANCES = 1 << 24
"""Largest number of float64 distances held at once (128 MiB)."""
TIE = 1e-9
"""Relative difference below which two distances count as equal: smaller ones are rounding of
float32 features, and must not decide which of two duplicates is nearer."""
CANDIDATES = 4096
"""Columns of a distance matrix computed by one product, in float64."""


def structure_metrics(
    real: ArrayLike, generated: ArrayLike, k: int, real_distances: np.ndarray | None = None
) -> dict[str, float]:
    """Metrics of how similar the neighbourhoods of real and generated features are.

    precision: share of generated images within the k-th neighbour distance of a real one, and
    recall: the reverse (Kynkaanniemi et al. 2019). density: real balls round a generated image / k,
    and coverage: share of real balls that hold a generated image (Naeem et al. 2020).
    knn_two_sample: share of each image's k nearest in the union that come from its own set, the
    mean of both sets (Schilling 1986): 0.5 if the sets cannot be told apart, 1 if they are apart.
    knn_distance_w1: 1-Wasserstein distance between the distributions of k-th neighbour distances.
    lid_real, lid_generated: intrinsic dimension (Levina and Bickel 2004, inverse-averaged as
    MacKay and Ghahramani 2005); NaN where k is 1 or all neighbours are duplicates.

    Distances are Euclidean, in float64, in blocks: 50,000 x 2048 features a side stay under 4 GB.

    Args:
        real: [N, F].
        generated: [M, F].
        k: neighbours; reduced to min(N, M) - 1 if that is smaller.
        real_distances: `neighbour_distances(real, k)`, if they are known already.
    """
    return compare_neighbourhoods(real, generated, k, real_distances).metrics


@dataclass(frozen=True)
class Neighbourhoods:
    """The metrics of structure_metrics, with the k that was used and a unit of distance."""

    metrics: dict[str, float]
    k: int
    mean_real_distance: float
    """Mean k-th neighbour distance among the real features: the unit of knn_distance_w1."""


def neighbour_distances(features: ArrayLike, k: int) -> np.ndarray:
    """Distances from each of features [N, F] to its k nearest others: float64 [N, min(k, N - 1)].

    Ascending. Raises ValueError for fewer than 2 features.
    """
    x = _features(features, "real")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return _within(x, min(k, len(x) - 1)).numpy()


def compare_neighbourhoods(
    real: ArrayLike, generated: ArrayLike, k: int, real_distances: np.ndarray | None = None
) -> Neighbourhoods:
    """Compute `structure_metrics`. Raises ValueError for fewer than 2 images on a side."""
    from scipy.stats import wasserstein_distance  # half a second, which only this needs

    x, y = _features(real, "real"), _features(generated, "generated")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"real and generated features differ in size: {x.shape[1]}, {y.shape[1]}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    k = min(k, len(x) - 1, len(y) - 1)
    if real_distances is None:
        x_within = _within(x, k)  # [N, k], ascending
    elif len(real_distances) == len(x) and real_distances.shape[1] >= k:
        x_within = torch.from_numpy(np.ascontiguousarray(real_distances[:, :k]))
    else:
        raise ValueError(
            f"real_distances are {list(real_distances.shape)}, not those of {len(x)} real features "
            f"to {k} neighbours: use neighbour_distances(real, k)"
        )
    y_within = _within(y, k)  # [M, k]
    cross = _cross(x, y, k, x_within[:, -1], y_within[:, -1])
    own = (
        _own_share(x_within, cross.x_to_y).mean() + _own_share(y_within, cross.y_to_x).mean()
    ) / 2
    metrics = {
        "precision": float(cross.y_within_x.double().mean()),
        "recall": float(cross.x_within_y.double().mean()),
        "density": float(cross.balls_round_y.double().mean() / k),
        "coverage": float((cross.x_to_y[:, 0] < x_within[:, -1] * (1 - TIE)).double().mean()),
        "knn_two_sample": float(own),
        "knn_distance_w1": float(wasserstein_distance(x_within[:, -1], y_within[:, -1])),
        "lid_real": intrinsic_dimension(x_within.numpy()),
        "lid_generated": intrinsic_dimension(y_within.numpy()),
    }
    return Neighbourhoods(metrics, k, float(x_within[:, -1].mean()))


def intrinsic_dimension(distances: np.ndarray) -> float:
    """Intrinsic dimension from ascending neighbour distances [N, k]; NaN where it is undefined.

    1 / mean log(T_k / T_j) over all points and j < k, without the pairs at distance 0.
    """
    last, others = distances[:, -1:], distances[:, :-1]
    usable = others > 0
    if not usable.any():
        return float("nan")
    logs = np.log(np.broadcast_to(last, others.shape)[usable] / others[usable])
    return float(1 / logs.mean()) if logs.mean() > 0 else float("nan")


@dataclass(frozen=True)
class _Cross:
    x_to_y: Tensor  # [N, k] distances from each x to its nearest y
    y_to_x: Tensor  # [M, k]
    y_within_x: Tensor  # bool [M]: in the ball of some x
    x_within_y: Tensor  # bool [N]
    balls_round_y: Tensor  # int64 [M]: number of x whose ball holds it


def _cross(x: np.ndarray, y: np.ndarray, k: int, x_radius: Tensor, y_radius: Tensor) -> _Cross:
    centre = _centre(x, y)
    x_to_y, x_within_y = [], []
    y_to_x = torch.full((k, len(y)), torch.inf, dtype=torch.float64)
    y_within_x = torch.zeros(len(y), dtype=torch.bool)
    balls_round_y = torch.zeros(len(y), dtype=torch.int64)
    for start, distance in _blocks(x, y, centre):  # [rows, M]
        radius = x_radius[start : start + len(distance), None]
        x_to_y.append(distance.topk(k, dim=1, largest=False, sorted=True).values)
        x_within_y.append((distance <= y_radius * (1 + TIE)).any(dim=1))
        y_within_x |= (distance <= radius * (1 + TIE)).any(dim=0)
        # The open ball, as in the package prdc for density and coverage.
        balls_round_y += (distance < radius * (1 - TIE)).sum(dim=0)
        seen = distance.topk(min(k, len(distance)), dim=0, largest=False).values
        y_to_x = torch.cat([y_to_x, seen]).topk(k, dim=0, largest=False, sorted=True).values
    return _Cross(
        torch.cat(x_to_y), y_to_x.T.contiguous(), y_within_x, torch.cat(x_within_y), balls_round_y
    )


def _within(x: np.ndarray, k: int) -> Tensor:
    """Ascending distances from each point to its k nearest others [N, k]."""
    found = []
    for start, distance in _blocks(x, x, _centre(x)):
        distance.diagonal(offset=start).fill_(torch.inf)
        found.append(distance.topk(k, dim=1, largest=False, sorted=True).values)
    return torch.cat(found)


def _own_share(own: Tensor, other: Tensor) -> Tensor:
    """Share [N] of own among the k nearest of both sets.

    own, other: distances to the k nearest of either set, ascending, [N, k]. If several are as far
    as the k-th nearest of the union, each counts by the same fraction, so that k are counted.
    """
    k = own.shape[1]
    last = torch.cat([own, other], dim=1).kthvalue(k, dim=1, keepdim=True).values
    low, high = last * (1 - TIE), last * (1 + TIE)
    nearer, nearer_other = ((part < low).sum(dim=1) for part in (own, other))
    tied, tied_other = (((part >= low) & (part <= high)).sum(dim=1) for part in (own, other))
    left = k - nearer - nearer_other
    return (nearer + left * tied.double() / (tied + tied_other)) / k


def _blocks(x: np.ndarray, y: np.ndarray, centre: np.ndarray) -> Iterator[tuple[int, Tensor]]:
    """Yield (first row, float64 distances [rows, M]) of x to y; each block overwrites the last."""
    rows = max(1, min(1024, MAX_DISTANCES // len(y)))
    columns = range(0, len(y), CANDIDATES)
    y_square = torch.cat(
        [_centred(y[first : first + CANDIDATES], centre).square().sum(1) for first in columns]
    )
    block = torch.empty(rows, len(y), dtype=torch.float64)
    for start in range(0, len(x), rows):
        part = _centred(x[start : start + rows], centre)
        x_square = part.square().sum(dim=1, keepdim=True)
        squared = block[: len(part)]
        for first in columns:
            other = _centred(y[first : first + CANDIDATES], centre)
            squared[:, first : first + len(other)] = part @ other.T
        scale = x_square + y_square
        squared.mul_(-2).add_(scale)
        # Below this a square is rounding of the expansion: the two features are equal in float32.
        squared[squared < scale.mul_(1e-13)] = 0
        yield start, squared.sqrt_()


def _centre(*sets: np.ndarray) -> np.ndarray:
    """A point [F] amid the sets. Centring changes no distance, and loses fewer digits of them."""
    return np.concatenate([part[:4096] for part in sets]).mean(axis=0, dtype=np.float64)


def _centred(part: np.ndarray, centre: np.ndarray) -> Tensor:
    return torch.from_numpy(np.subtract(part, centre, dtype=np.float64))


def _features(features: ArrayLike, which: str) -> np.ndarray:
    """The features as an array [N >= 2, F], not copied. Raises ValueError if any is not finite."""
    if isinstance(features, Tensor):
        features = features.detach().cpu().numpy()
    features = np.asarray(features)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"{which} features must be [N, F] with at least 2 images, got {list(features.shape)}"
        )
    for start in range(0, len(features), CANDIDATES):
        if not np.isfinite(features[start : start + CANDIDATES]).all():
            raise ValueError(f"{which} features hold NaN or infinity")
    return features
