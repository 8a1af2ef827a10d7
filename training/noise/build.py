"""Builds the noise schedule that settings name."""

from pathlib import Path

from training.noise.config import NoiseConfig
from training.noise.schedule import NoiseSchedule
from training.noise.table import SCHEDULES


def make_noise_schedule(
    config: NoiseConfig, sigma_data: float, grid_cache: Path | None = None
) -> NoiseSchedule:
    """A new schedule. grid_cache: folder in which an optimized time grid is kept."""
    schedule = SCHEDULES[config.schedule](config, sigma_data, grid_cache)
    if not config.curriculum_kimg:
        return schedule
    from training.noise.curriculum import Curriculum

    return Curriculum(schedule, config.curriculum_kimg)
