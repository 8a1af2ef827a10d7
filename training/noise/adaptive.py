"""Noise levels drawn as often as their losses vary, each counted less for being drawn more often.

The mean of weight * loss is the loss of the plain law whatever the density is; its variance is
least where the density follows the root of the second moment of what is averaged (importance
sampling). So the density is learned from second moments and never from means: with a learned
uncertainty the mean loss is the same at all levels by construction.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from foundation.workers import World
from training.noise.config import NoiseConfig
from training.noise.levels import sigma_quantile
from training.noise.schedule import Plain
from training.noise.weighting import loss_share

BINS = 32
UNIFORM = 0.1
"""Share of the density that stays uniform, so that a weight is at most 10."""
SPIKE = 100.0
"""A square counts at most so many times the mean of those before."""
PRIOR = 8.0
"""A bin's moment is drawn to the mean of all as if it had been seen in so many images."""


class Adaptive(Plain):
    """A piecewise constant density over the quantiles of the plain law.

    It follows the root of a second moment in each of 32 equally likely ranges of levels: that of
    an image's loss, w e / exp(u) (`adapt_by: loss`), or that of the gradient which its loss sends
    into the network's output, of square 4 w e / exp(2 u) over the number of pixels
    (`adapt_by: gradient`). Sums over images decay over `adapt_kimg`.
    """

    def __init__(self, config: NoiseConfig, sigma_data: float):
        super().__init__(config)
        self.sigma_data = sigma_data
        inner = sigma_quantile(config, np.arange(1, BINS) / BINS)
        self.inner_edges = torch.from_numpy(inner)
        self.seen = torch.zeros(2, BINS, dtype=torch.float64)
        """Decayed sums over images in each bin: of the squared value, and of 1."""
        self.noted = torch.zeros_like(self.seen)
        """The same of this worker since the last update."""

    def density(self) -> np.ndarray:
        """How often each bin is drawn, over how often the plain law draws it; float64 [32]."""
        squares, counts = self.seen.numpy()
        if not counts.sum():
            return np.ones(BINS)
        mean = squares.sum() / counts.sum()
        root = np.sqrt((squares + PRIOR * mean) / (counts + PRIOR))
        if not root.sum():
            return np.ones(BINS)
        return (1 - UNIFORM) * root / root.mean() + UNIFORM

    def draw(self, uniform: np.ndarray, nimg: int) -> tuple[np.ndarray, np.ndarray | None]:
        density = self.density()
        edges = np.concatenate([[0.0], np.cumsum(density) / density.sum()])
        uniform = np.asarray(uniform, np.float64)
        quantile = np.interp(uniform, edges, np.linspace(0, 1, BINS + 1))
        chosen = np.clip(np.searchsorted(edges, uniform, side="right") - 1, 0, BINS - 1)
        return sigma_quantile(self.config, quantile), 1 / density[chosen]

    def observe(self, sigma: Tensor, loss: Tensor, log_variance: Tensor) -> None:
        """Values that are not finite are left out; their step is skipped too."""
        sigma, loss, u = (t.detach().cpu().double() for t in (sigma, loss, log_variance))
        share = loss_share(self.config.weighting, sigma, self.sigma_data)
        if self.config.adapt_by == "loss":
            squares = (share * loss / u.exp()).square()
        else:
            squares = share.square() * loss / (2 * u).exp()
        known = squares.isfinite()
        if (total := float(self.seen[1].sum())) > 0:  # one spike must not rule for all of memory
            squares = squares.clamp(max=SPIKE * float(self.seen[0].sum()) / total)
        bins = torch.bucketize(sigma, self.inner_edges)[known]
        self.noted[0].index_add_(0, bins, squares[known])
        self.noted[1].index_add_(0, bins, torch.ones_like(squares[known]))

    def update(self, world: World, nimg: int) -> None:
        total = world.all_reduce_sum_(self.noted.to(world.device)).cpu()
        self.seen = self.seen * np.exp(-nimg / (1000 * self.config.adapt_kimg)) + total
        self.noted = torch.zeros_like(self.noted)

    def state(self) -> dict[str, Tensor]:
        return {"seen": self.seen.clone()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.seen = tensors["seen"].to(self.seen)
