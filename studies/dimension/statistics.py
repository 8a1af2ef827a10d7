"""What is measured on features [N, F] and on pixels, for the experiments of the study."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from evaluation.manifold import intrinsic_dimension, neighbour_distances
from models.neighbours import nearest_in

PARTS = 8
"""Groups of principal axes, each of twice as many as the one before it."""
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def dimension(features: np.ndarray, k: int) -> float:
    """Intrinsic dimension by the k nearest neighbours (MacKay and Ghahramani 2005)."""
    return intrinsic_dimension(neighbour_distances(features, k))


def dimension_by_size(
    real: np.ndarray, generated: np.ndarray, sizes: Sequence[int], ks: Sequence[int], seed: int
) -> list[dict[str, float]]:
    """{n, k, radius, ratio} for each number of images and neighbours that the sets can give.

    radius: mean distance of real images to their k-th neighbours. White noise of energy s^2 gives
    ratio - 1 = 2 s^2 / radius^2; a smoothed density gives a ratio near 1 at every radius.
    """
    random = np.random.default_rng(seed)
    orders = [random.permutation(len(one)) for one in (real, generated)]
    found = []
    for n in sizes:
        if n > min(len(real), len(generated)):
            continue
        pairs = zip((real, generated), orders, strict=True)
        both = [one[np.sort(order[:n])] for one, order in pairs]
        distances = [neighbour_distances(one, min(max(ks), n - 1)) for one in both]
        for k in ks:
            if k < n:
                own = [intrinsic_dimension(one[:, :k]) for one in distances]
                radius = float(distances[0][:, k - 1].mean())
                found.append({"n": n, "k": k, "radius": radius, "ratio": own[1] / own[0]})
    return found


def slope(rows: Sequence[dict[str, float]]) -> float:
    """Of log(ratio - 1) against log(radius), by least squares: -2 for weak white noise.

    NaN where fewer than two ratios are above 1.
    """
    usable = [(r["radius"], r["ratio"] - 1) for r in rows if r["ratio"] > 1]
    if len(usable) < 2:
        return float("nan")
    x, y = np.log(np.array(usable)).T
    return float(np.polyfit(x, y, 1)[0])


def excess_distance(real: np.ndarray, generated: np.ndarray, k: int) -> dict[str, float]:
    """{cross, generated} over the real-to-real one, of mean squared distances to k-th neighbours.

    Each set is halved: r r between halves of the real ones, f f of the generated ones, r f between
    a half of each. "surplus" is (2 rf - rr - ff) / rr: 0 where the generated images are real ones
    with noise, above 0 where they stand apart, with "generated" = ff / rr near 1 where only their
    details were exchanged.
    """
    (a, b), (f, g) = (_halves(one) for one in (real, generated))
    rr, ff, rf = (_squared_to_kth(*pair, k) for pair in ((a, b), (f, g), (a, f)))
    return {"cross": rf / rr, "generated": ff / rr, "surplus": (2 * rf - rr - ff) / rr}


def variance_along_axes(
    axes_of: np.ndarray, real: np.ndarray, generated: np.ndarray
) -> list[dict[str, float]]:
    """{first, last, ratio} of PARTS groups of principal axes of `axes_of`, from the largest on.

    ratio: generated variance over real variance along them. All up: noise. The last ones down:
    individual detail is missing.
    """
    centred = axes_of - axes_of.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1]
    variances = [((one - axes_of.mean(0)) @ axes).var(0) for one in (real, generated)]
    width = axes.shape[1]
    ends = sorted({min(width, round(width ** (part / PARTS))) for part in range(PARTS + 1)} | {0})
    return [
        {
            "first": first + 1,
            "last": last,
            "ratio": float(variances[1][first:last].sum() / variances[0][first:last].sum()),
        }
        for first, last in pairwise(ends)
    ]


def fine_energy(pictures: np.ndarray) -> np.ndarray:
    """[N], mean square of what a 3x3 mean takes away from each picture uint8 [N, H, W, C]."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (x - blurred).square().mean((1, 2, 3)).numpy()


def energy_quantiles(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """{quantile: generated over real} of `fine_energy`."""
    both = [np.quantile(fine_energy(one), QUANTILES) for one in (real, generated)]
    ratios = (both[1] / np.maximum(both[0], 1e-12)).tolist()
    return {f"{q:g}": ratio for q, ratio in zip(QUANTILES, ratios, strict=True)}


def _halves(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = len(features) // 2
    order = np.random.default_rng(0).permutation(len(features))  # sets may come class by class
    return features[order[:half]], features[order[half : 2 * half]]


def _squared_to_kth(queries: np.ndarray, bank: np.ndarray, k: int) -> float:
    points = torch.from_numpy(np.ascontiguousarray(bank)).double()
    asked = torch.from_numpy(np.ascontiguousarray(queries)).double()
    index = nearest_in(asked, points, k)[:, -1]
    return float((asked - points[index]).square().sum(1).mean())
