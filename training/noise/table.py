"""The table of noise schedules; a schedule is imported when it is used."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # checking a schedule's name must not import it
    from training.noise.config import NoiseConfig
    from training.noise.schedule import NoiseSchedule

Make = Callable[["NoiseConfig", float, Path | None], "NoiseSchedule"]


def plain(config: "NoiseConfig", sigma_data: float, cache: Path | None) -> "NoiseSchedule":
    """The law of that name as it is (training/noise/levels.py)."""
    from training.noise.schedule import Plain

    return Plain(config)


def adaptive(config: "NoiseConfig", sigma_data: float, cache: Path | None) -> "NoiseSchedule":
    """More often where the loss varies, without changing its mean."""
    from training.noise.adaptive import Adaptive

    return Adaptive(config, sigma_data)


def speed(config: "NoiseConfig", sigma_data: float, cache: Path | None) -> "NoiseSchedule":
    """The noisy end of DDPM's path less often (SpeeD)."""
    from training.noise.speed import Speed

    return Speed(config)


def sampler(config: "NoiseConfig", sigma_data: float, cache: Path | None) -> "NoiseSchedule":
    """The levels of one sampler alone (Fast-DDPM)."""
    from training.noise.sampler_levels import SamplerLevels

    return SamplerLevels(config, cache)


SCHEDULES: dict[str, Make] = {
    "log_normal": plain,
    "vp_linear": plain,
    "vp_cosine": plain,
    "flow": plain,
    "adaptive": adaptive,
    "speed": speed,
    "sampler": sampler,
}
"""{value of noise.schedule: function (settings, sigma_data, folder in which optimized time grids
are kept) that makes the schedule}. A new one is a class that follows the protocol of
training/noise/schedule.py."""
