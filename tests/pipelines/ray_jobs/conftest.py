"""A tiny training, for tests of where it runs."""

import pytest

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from models.config import EMAConfig, ModelConfig
from pipelines.ray_jobs.training import run_training
from training.config import NoiseConfig, TrainConfig
from training.run_settings import RunSettings
from training.structure.config import StructureConfig


@pytest.fixture
def training(tmp_path):
    """training(cluster, report): a run of 512 images in tmp_path/run; returns its folder."""
    model = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    settings = RunSettings(
        seed=0,
        model=model,
        noise=NoiseConfig(),
        structure=StructureConfig(kind="none"),
        train=TrainConfig(
            total_kimg=0.512,
            batch_size=16,
            log_every_kimg=0.016,
            held_out_every_kimg=0.512,
            held_out_images=16,
        ),
        ema=EMAConfig(snapshots=2),
    )
    prepare_dataset(DatasetConfig(), tmp_path / "data")

    def run(cluster, report):
        run_training(settings, tmp_path / "data", tmp_path / "run", cluster, report)
        return tmp_path / "run"

    return run
