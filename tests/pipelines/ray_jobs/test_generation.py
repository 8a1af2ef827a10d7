"""Requests for images as tasks: which parts the workers get."""

import dataclasses
import json
import os
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from pipelines.ray_jobs import generation
from pipelines.settings.cluster import ClusterConfig
from sampling.config import SamplerConfig
from sampling.drawing.tally import EvaluationTally
from sampling.grids import fit
from sampling.request import GenerationRequest

save_toy = run_path(str(Path(__file__).parents[1] / "toy_network.py"))["save_toy"]


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


@pytest.mark.parametrize("cluster", [ClusterConfig(), ClusterConfig(evaluate_workers=2)])
def test_evaluations_are_counted_wherever_images_are_drawn(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(
        generation, "run_tasks", lambda function, arguments, *_: [function(*a) for a in arguments]
    )
    request = GenerationRequest(
        sampler=SamplerConfig(solver="adaptive_heun"),
        seed=7,
        indices=range(10),
        labels=np.arange(10) % 3,
        batch_size=4,
        weights=str(save_toy(tmp_path / "0.1.safetensors", 3)),
    )
    tally = EvaluationTally(10)
    images = generation.generate_images(request, cluster, lambda *_: None, tally)
    plain = generation.generate_images(request, cluster, lambda *_: None)
    assert (images == plain).all() and tally.calls.min() >= 5
    alone = EvaluationTally(2)
    some = dataclasses.replace(request, indices=[3, 8], labels=request.labels[[3, 8]])
    generation.generate_images(some, ClusterConfig(), lambda *_: None, alone)
    assert alone.calls.tolist() == tally.calls[[3, 8]].tolist()


def test_fitted_levels_are_found_once_before_workers_draw(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(fit, "starts", lambda *_: [np.geomspace(80.0, 0.002, 4)])
    request = GenerationRequest(
        sampler=SamplerConfig(solver="ddim", grid="fitted", steps=4, grid_options={"images": 4}),
        seed=7,
        indices=range(10),
        labels=np.arange(10) % 3,
        batch_size=4,
        weights=str(save_toy(tmp_path / "0.1.safetensors", 3)),
    )
    known = generation.on_workers(request)
    (kept,) = (tmp_path / ".runs" / "grids").glob("*.json")
    assert json.loads(kept.read_text())["sigmas"] == list(known.sampler.sigmas)
    generation.generate_images(request, ClusterConfig(evaluate_workers=2), lambda *_: None)
    assert [part.sampler for part in asked] == [known.sampler] * 3
