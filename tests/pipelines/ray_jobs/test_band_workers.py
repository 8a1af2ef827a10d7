"""Ray workers that share each image: the same images, and one end for all."""

import os
import runpy
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.denoiser import describe
from models.weights import save_weights
from pipelines.ray_jobs import band_workers
from pipelines.ray_jobs.band_workers import check_workers, draw_on_ray
from pipelines.ray_jobs.generation import generate_images
from pipelines.ray_jobs.session import ClusterError, ray_session
from pipelines.settings.cluster import ClusterConfig
from sampling.band_plan import BandPlan, band_plan
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
    assert seen[-1] == (3, 3)
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
@pytest.mark.parametrize(
    ("blow", "told"),
    [
        (signal.SIGKILL, "of 2, which share each image, died"),
        (signal.SIGSTOP, "drawing in bands failed"),
    ],
    ids=["killed", "hanging"],
)
def test_a_worker_lost_in_mid_image_ends_the_call_with_one_line(
    ray, weights, blow, told, monkeypatch
):
    monkeypatch.setattr(band_workers, "PATIENCE", timedelta(seconds=8))
    request = asked(weights, SamplerConfig(steps=300))
    plan = band_plan(request.sampler, 2)
    assert plan is not None

    def strike() -> None:
        while not workers_alive("BandWorker.draw"):
            time.sleep(0.1)
        time.sleep(1.0)  # the image is begun
        os.kill(workers_alive()[-1].pid, blow)

    striker = threading.Thread(target=strike, daemon=True)
    striker.start()
    begin = time.monotonic()
    with pytest.raises(ClusterError) as failure:
        draw_on_ray(ray, request, plan, CLUSTER, lambda *_: None)
    assert time.monotonic() - begin < 60
    striker.join()
    message = str(failure.value)
    assert told in message and "\n" not in message
    until = time.monotonic() + 20
    while workers_alive() and time.monotonic() < until:
        time.sleep(0.2)
    assert not workers_alive()


@pytest.mark.parametrize(
    ("warm_up", "mend"),
    [
        (None, r"set cluster\.band_workers .* to 2, or to 0"),
        (1, "2 processors: set .* to 0,"),
    ],
)
def test_more_workers_than_processors_are_refused_with_the_mend(warm_up, mend):
    """Fewer workers cannot hold displaced bands, whose number is part of the images."""
    with pytest.raises(ClusterError, match=mend):
        check_workers(BandPlan(1, 4, warm_up), {"CPU": 1.0}, {"CPU": 2.0})
