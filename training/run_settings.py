"""The settings of one training run in one frozen object."""

from operator import not_
from typing import Annotated

from pydantic import Field

from foundation.settings_base import Settings
from models.autoencoders.config import KLConfig
from models.config import EMAConfig, ModelConfig
from training.config import NoiseConfig, TrainConfig
from training.structure.config import StructureConfig
from training.students import Student


class RunSettings(Settings):
    """The settings of training.

    Its result depends on the first six, on `student`, on the teacher's weights, on `autoencoder`,
    and not on the others.
    """

    seed: int
    model: ModelConfig
    noise: NoiseConfig
    train: TrainConfig
    structure: StructureConfig
    ema: EMAConfig
    micro_batch: int | None = None
    checkpoint_every_s: Annotated[float, Field(ge=0)] = 30.0
    sample_every_kimg: Annotated[float, Field(gt=0)] | None = None
    grid_cache: str | None = None
    """Folder in which optimized time grids are kept."""
    student: Student | None = None
    """Settings of a student; None: the run trains a denoiser from data."""
    teacher: str | None = None
    """Weights of the student's teacher (.safetensors)."""
    pairs_cache: str | None = None
    """Folder in which pairs drawn by teachers are kept."""
    autoencoder: Annotated[KLConfig | None, Field(exclude_if=not_)] = None
    """Settings of an autoencoder that is trained; None: the run trains a denoiser. It is left out
    of what is stored where it is None: runs are known by hashes of older settings."""

    @property
    def total_steps(self) -> int:
        """Number of optimiser steps, which cover train.total_kimg."""
        return -(-round(self.train.total_kimg * 1000) // self.train.batch_size)

    @property
    def total_nimg(self) -> int:
        """Images of the whole run, a multiple of the batch size."""
        return self.total_steps * self.train.batch_size

    @property
    def snapshot_nimgs(self) -> tuple[int, ...]:
        """Images seen at each snapshot: evenly spaced, the last one at the end."""
        n = self.ema.snapshots
        return tuple(-(-self.total_steps * (i + 1) // n) * self.train.batch_size for i in range(n))
