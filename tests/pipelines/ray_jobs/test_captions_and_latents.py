"""A denoiser of latents for captions, trained by Ray's workers and in this process."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from pipelines.ray_jobs.training import run_training
from pipelines.settings.cluster import ClusterConfig

TESTS = Path(__file__).resolve().parents[2]
made = SimpleNamespace(**run_path(str(TESTS / "training" / "test_captions.py")))


@pytest.mark.slow
def test_two_workers_follow_one_process(tmp_path):
    pictures, latents = made.captioned_latents(tmp_path)
    settings = made.settings(total_kimg=0.096, game="graph")
    for workers in (0, 2):
        cluster = ClusterConfig(num_workers=workers, max_failures=0)
        run_training(
            settings, pictures, tmp_path / f"run{workers}", cluster, lambda event: None, latents
        )
    one, two = (made.runs.final(tmp_path / f"run{workers}") for workers in (0, 2))
    assert any("conditions.table" in name for name in one[0])
    made.runs.assert_same(one, two, rtol=1e-3, atol=2e-4)
