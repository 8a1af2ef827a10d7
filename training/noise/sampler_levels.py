"""Training at the noise levels of one sampler alone.

A denoiser that is deployed with a few steps is only asked at their levels: "Fast-DDPM" (arXiv
2405.14802) trains on 10 of 1,000 time steps. Samplers with other levels get worse for it.
"""

from pathlib import Path

import numpy as np

from sampling.config import SamplerConfig
from sampling.solvers.table import evaluated_levels
from training.noise.config import NoiseConfig
from training.noise.schedule import Plain


class SamplerLevels(Plain):
    """Each noise level at which `noise.sampler` asks the network, as often as any other."""

    def __init__(self, config: NoiseConfig, cache_dir: Path | None = None):
        super().__init__(config)
        assert config.sampler is not None, "checked with the settings"
        self.levels = asked_levels(config.sampler, cache_dir)

    def draw(self, uniform: np.ndarray, nimg: int) -> tuple[np.ndarray, np.ndarray | None]:
        chosen = (np.asarray(uniform) * len(self.levels)).astype(int)
        return self.levels[np.minimum(chosen, len(self.levels) - 1)], None


def asked_levels(sampler: SamplerConfig, cache_dir: Path | None = None) -> np.ndarray:
    """The distinct noise levels that a sampler tells the network, ascending, float64.

    cache_dir: folder in which an optimized grid is kept.
    """
    levels = evaluated_levels(sampler.make_solver(), sampler.time_grid(cache_dir))
    told = sampler.told_sigma * np.asarray([float(level) for level in levels], np.float64)
    return np.unique(told)
