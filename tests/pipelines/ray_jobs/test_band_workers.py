"""Ray workers that share each image: the same images, and one end for all."""

import os
import runpy
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.denoiser import describe
from models.weights import save_weights
from pipelines.ray_jobs.band_workers import draw_on_ray
from pipelines.ray_jobs.generation import generate_images
from pipelines.ray_jobs.session import ClusterError, ray_session
from pipelines.settings.cluster import ClusterConfig
from sampling.band_plan import band_plan
from sampling.config import SamplerConfig
from sampling.request import GenerationRequest

NETWORK = Path(__file__).parents[2] / "models" / "bands" / "network.py"
CLUSTER = ClusterConfig(band_workers=2)


@pytest.fixture(scope="module")
def ray():
    with ray_session(CLUSTER) as ray:
        yield ray


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    denoiser = runpy.run_path(str(NETWORK))["network"]().float()
    path = tmp_path_factory.mktemp("bands") / "w.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    return path


def asked(weights: Path, sampler: SamplerConfig) -> GenerationRequest:
    return GenerationRequest(
        sampler=sampler,
        seed=7,
        indices=range(3),
        labels=np.arange(3),
        batch_size=2,
        weights=str(weights),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"guidance": ({"kind": "classifier_free", "weight": 2.0},)}, {"bands": {"count": 2}}],
    ids=["exact", "guided", "displaced"],
)
def test_two_workers_draw_the_pictures_of_one_process(ray, weights, settings):
    request, seen = asked(weights, SamplerConfig(steps=4, **settings)), []
    plan = band_plan(request.sampler, 2)
    assert plan is not None
    found = draw_on_ray(ray, request, plan, CLUSTER, lambda *done: seen.append(done))
    alone = generate_images(request, ClusterConfig(), lambda *_: None)
    assert found.shape == (3, 32, 16, 3) and found.std() > 5
    assert np.abs(found.astype(int) - alone.astype(int)).max() <= 1


def workers_alive(title: str = "BandWorker") -> list[psutil.Process]:
    """Processes of band workers among this process's own, by the title that Ray gives them."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_a_worker_killed_in_mid_image_ends_the_call_with_one_line(ray, weights):
    request = asked(weights, SamplerConfig(steps=300))
    plan = band_plan(request.sampler, 2)
    assert plan is not None

    def kill() -> None:
        while not workers_alive("BandWorker.draw"):
            time.sleep(0.1)
        time.sleep(1.0)  # the image is begun
        os.kill(workers_alive()[-1].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(ClusterError) as failure:
        draw_on_ray(ray, request, plan, CLUSTER, lambda *_: None)
    killer.join()
    message = str(failure.value)
    assert "of 2, which share each image, died" in message and "\n" not in message
    until = time.monotonic() + 20
    while workers_alive() and time.monotonic() < until:
        time.sleep(0.2)
    assert not workers_alive()


def test_more_workers_than_processors_are_refused_with_the_mend(ray, weights):
    count = int(ray.cluster_resources()["CPU"]) * 2
    request = asked(weights, SamplerConfig())
    plan = band_plan(request.sampler, count)
    assert plan is not None
    with pytest.raises(ClusterError, match=r"set cluster\.band_workers .* to \d+"):
        draw_on_ray(ray, request, plan, CLUSTER, lambda *_: None)
