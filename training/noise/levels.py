"""Training noise levels: sigma as a function of a uniform number, one per image slot."""

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from training.noise.config import NoiseConfig


def sigma_quantile(config: NoiseConfig, uniform: np.ndarray) -> np.ndarray:
    """Noise level at each quantile in (0, 1), float64, same shape.

    The plain law of the schedule, which rises with the quantile. log_normal, and those that only
    draw it otherwise: ln(sigma) ~ N(mean, std^2) (EDM, table 1). Other schedules: sigma at a time t
    that is uniform on the schedule's own path.
    """
    uniform = np.clip(uniform, 1e-6, 1 - 1e-6)
    if config.schedule in ("log_normal", "adaptive", "sampler"):
        return np.exp(config.mean + config.std * ndtri(uniform))
    from models.noise_paths import sigma_of_time

    path = "vp_linear" if config.schedule == "speed" else config.schedule
    return np.asarray(sigma_of_time(path, uniform), np.float64)


def held_out_sigmas(config: NoiseConfig, bins: int, count: int) -> tuple[Tensor, Tensor]:
    """Fixed noise levels for the held-out loss: image i gets a level in bin i % bins.

    Returns sigma float32 [count] and the bin of each image, int64 [count].
    """
    bin_index = np.arange(count) % bins
    # The images of a bin get different levels inside it, so that it is judged at several.
    within = (np.arange(count) // bins + 0.5) / max(1, -(-count // bins))
    sigma = sigma_quantile(config, (bin_index + within) / bins)
    return torch.from_numpy(sigma).float(), torch.from_numpy(bin_index)


def bin_edges(config: NoiseConfig, bins: int) -> list[float]:
    """The bins - 1 noise levels between the bins of `held_out_sigmas`, ascending, 6 digits each."""
    levels = sigma_quantile(config, np.arange(1, bins) / bins)
    return [float(f"{level:.6g}") for level in levels]
