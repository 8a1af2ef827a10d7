"""SpeeD's asymmetric sampling: the noisy end of a path, where little is left to learn, drawn less.

"A Closer Look at Time Steps is Worthy of Triple Speed-Up for Diffusion Model Training" (arXiv
2405.17403, section 3.2): beyond a time tau, where the process moves little, time steps are drawn k
times less often. The loss is not weighted for it, so the noisy end also counts less.
"""

import numpy as np

from training.noise.levels import sigma_quantile
from training.noise.schedule import Plain


class Speed(Plain):
    """Uniform times of DDPM's linear path, those beyond `speed_after` less often."""

    def draw(self, uniform: np.ndarray, nimg: int) -> tuple[np.ndarray, np.ndarray | None]:
        return sigma_quantile(self.config, self.time(uniform)), None

    def time(self, uniform: np.ndarray) -> np.ndarray:
        """Times in (0, 1), by the inverse of their piecewise linear cumulative distribution."""
        after, factor = self.config.speed_after, self.config.speed_factor
        total = after + (1 - after) / factor
        return np.interp(np.asarray(uniform, np.float64), [0.0, after / total, 1.0], [0, after, 1])
