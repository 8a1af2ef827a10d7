"""Searches the levels at which few steps of a sampler come nearest to many fine ones.

Let x(sigma) be the path of an image that fine steps give, and x_k the states that the sampler
visits at its levels sigma_k, from the same noise. The search minimises the mean over images and
pixels of the squared distance of the images, or that of all states (distance "path")

    sum_k |x_k - x(sigma_k)|^2 / (sigma_k^2 + c^2) / number of levels below the first,

c the standard deviation of the data. Related: LD3 (Tong et al., arXiv 2405.15506), which learns
levels from the distance of the images by automatic differentiation, and GITS (Chen et al., arXiv
2405.11326), which takes the curvature of a few paths. On Gaussian data Euler's method with distance
"images" has the levels of grid arctan as its optimum.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sampling.grids.closed_form import CLOSED_FORM, Arctan, Karras
from sampling.grids.optimized import Optimized

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1  # part of the key under which grids are kept: raise it when the search changes
SMALLEST_GAP = 0.02  # between neighbouring levels, as a share of the uniform gap in ln sigma
DIFFERENCE = 2e-3  # of ln sigma, for slopes; the distance is computed in float64


class Ways(Protocol):
    """How a sampler takes the same noise along any levels."""

    sigma_data: float

    def states(self, sigmas: Sequence[float], remember: bool = False) -> "list[Tensor]":
        """Its states [N, C, H, W] in float64 at these levels, the last of them the images.

        remember: the next calls may repeat what this one computes.
        """

    def fine(self, sigmas: Sequence[float]) -> "tuple[list[Tensor], list[Tensor]]":
        """(states, x0 at them) of Heun's method at these levels; x0 of the last is missing."""


def fitted_sigmas(
    ways: Ways,
    count: int,
    sigma_min: float,
    sigma_max: float,
    *,
    distance: str,
    fine_steps: int,
    iterations: int,
    cache_dir: Path | None = None,
) -> np.ndarray:
    """The `count` > 2 levels above 0 of least distance that the search finds, float64 [count].

    It starts at the best of the closed forms (arctan with the c of the data) and of grid optimized,
    and is never worse than any of them. cache_dir: where the optimized grid is kept.
    """
    from scipy.optimize import minimize

    measure = objective(ways, sigma_min, sigma_max, distance, fine_steps)
    best: tuple[float, np.ndarray] | None = None

    def value(logs: np.ndarray, remember: bool = False) -> float:
        """Distance at ln sigma [count], kept if it is the least; inf where levels do not fall."""
        nonlocal best
        levels = np.exp(logs)
        levels[0], levels[-1] = sigma_max, sigma_min
        if not (np.isfinite(levels).all() and (np.diff(levels) < 0).all()):
            return np.inf
        found = measure(levels, remember)
        if best is None or found < best[0]:
            best = found, levels
        return found

    for start in starts(count, sigma_min, sigma_max, ways.sigma_data, cache_dir):
        value(np.log(start))
    assert best is not None, "the starts fall strictly"
    ends = np.log([sigma_max, sigma_min])
    scale = best[0] or 1.0

    def whole(inner: np.ndarray) -> np.ndarray:
        return np.concatenate([ends[:1], inner, ends[1:]])

    def value_and_slope(inner: np.ndarray) -> tuple[float, np.ndarray]:
        here, slope = value(whole(inner), remember=True), np.zeros_like(inner)
        if not np.isfinite(here):
            return here, slope
        for place in range(len(inner)):
            moved = inner.copy()
            moved[place] += DIFFERENCE
            slope[place] = (value(whole(moved)) - here) / DIFFERENCE
        return here / scale, slope / scale

    # The gaps -(ln sigma_{k+1} - ln sigma_k) stay above the smallest.
    free = count - 2
    smallest = SMALLEST_GAP * (ends[0] - ends[1]) / (count - 1)
    falls = np.eye(free + 1, free, k=-1) - np.eye(free + 1, free)
    fixed = np.zeros(free + 1)
    fixed[0], fixed[-1] = ends[0], -ends[1]
    if iterations and best[0] > 0:
        minimize(
            value_and_slope,
            np.log(best[1])[1:-1],
            method="SLSQP",
            jac=True,
            constraints=[
                {
                    "type": "ineq",
                    "fun": lambda inner: falls @ inner + fixed - smallest,
                    "jac": lambda inner: falls,
                }
            ],
            options={"maxiter": iterations, "ftol": 1e-4},
        )
    return best[1]


def starts(
    count: int, sigma_min: float, sigma_max: float, sigma_data: float, cache_dir: Path | None
) -> list[np.ndarray]:
    """The grids with which the search begins: all closed forms, and the model-free optimum."""
    ends = count, sigma_min, sigma_max
    own = {"arctan": Arctan(c=sigma_data)}
    grids = [own.get(name, grid()).levels(*ends) for name, grid in CLOSED_FORM.items()]
    for levels in (found := [*grids, Optimized().levels(*ends, cache_dir=cache_dir)]):
        levels[0], levels[-1] = sigma_max, sigma_min
    return found


def objective(
    ways: Ways, sigma_min: float, sigma_max: float, distance: str, fine_steps: int
) -> Callable[[np.ndarray, bool], float]:
    """measure(levels above 0 [n], remember) -> their distance, see the top of this file."""
    fine = [*Karras().levels(fine_steps, sigma_min, sigma_max).tolist(), 0.0]
    fine[0], fine[-2] = sigma_max, sigma_min
    states, denoised = ways.fine(fine)

    def measure(levels: np.ndarray, remember: bool) -> float:
        visited = ways.states([*levels.tolist(), 0.0], remember)
        if distance == "images":
            return float((visited[-1] - states[-1]).square().mean())
        total = float((visited[-1] - states[-1]).square().mean()) / ways.sigma_data**2
        for x, sigma in zip(visited[1:-1], levels[1:].tolist(), strict=True):
            apart = (x - _between(fine, states, denoised, sigma)).square().mean()
            total += float(apart) / (sigma**2 + ways.sigma_data**2)
        return total / len(levels)

    return measure


def _between(
    fine: list[float], states: "list[Tensor]", denoised: "list[Tensor]", sigma: float
) -> "Tensor":
    """The fine path at level sigma, by the cubic through two states and their slopes (Hermite)."""
    after = next(k for k, level in enumerate(fine) if level <= sigma)
    if fine[after] == sigma:
        return states[after]
    high, low = fine[after - 1], fine[after]
    width = low - high
    t = (sigma - high) / width
    first, second = ((states[k] - denoised[k]) / fine[k] * width for k in (after - 1, after))
    return (
        (1 + 2 * t) * (1 - t) ** 2 * states[after - 1]
        + t * (1 - t) ** 2 * first
        + t**2 * (3 - 2 * t) * states[after]
        + t**2 * (t - 1) * second
    )
