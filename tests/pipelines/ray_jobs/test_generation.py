"""Requests for images as tasks: which parts the workers get."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.ray_jobs import generation
from pipelines.settings.cluster import ClusterConfig
from sampling.config import SamplerConfig
from sampling.request import GenerationRequest


@pytest.fixture
def asked(monkeypatch):
    """What each worker would be asked; none of them draws anything."""
    parts = []

    def draw(request, progress=None):
        parts.append(request)
        if progress is not None:
            progress(len(request.indices), len(request.indices))
        return np.zeros((len(request.indices), 2, 2, 1), np.uint8)

    def run_tasks(function, arguments, cluster, progress):
        out = []
        for done, values in enumerate(arguments, start=1):
            out.append(function(*values))
            progress(done)
        return out

    monkeypatch.setattr(generation, "generate_chunk", draw)
    monkeypatch.setattr(generation, "run_tasks", run_tasks)
    return parts


@pytest.mark.parametrize(
    ("cluster", "sizes"),
    [
        (ClusterConfig(), [10]),
        (ClusterConfig(evaluate_workers=2), [4, 4, 2]),
        (ClusterConfig(spread_above=10), [4, 4, 2]),
    ],
)
def test_workers_get_whole_batches(asked, cluster, sizes, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    seen = []
    request = GenerationRequest(
        sampler=SamplerConfig(grid="optimized", grid_options={"starts": 0}, steps=3),
        seed=7,
        indices=range(10),
        labels=np.arange(10) % 3,
        batch_size=4,
        weights="outputs/ema/0.1.safetensors",
    )
    images = generation.generate_images(request, cluster, lambda *where: seen.append(where))
    assert images.shape == (10, 2, 2, 1) and seen[-1] == (10, 10)
    assert [len(part.indices) for part in asked] == sizes
    assert [index for part in asked for index in part.indices] == list(range(10))
    assert np.concatenate([part.labels for part in asked]).tolist() == request.labels.tolist()
    cache = Path(asked[0].cache_dir)
    assert cache == tmp_path / ".runs/grids" and list(cache.glob("*.json"))  # searched before
    for part in asked:  # Ray's workers run elsewhere
        assert part.weights == os.path.abspath("outputs/ema/0.1.safetensors")
