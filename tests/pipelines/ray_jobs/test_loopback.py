"""A local Ray: it can be reached from this machine alone, and survives its mailbox."""

import os
import socket
from http.client import HTTPException
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from urllib.request import urlopen

import numpy as np
import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from pipelines.ray_jobs.generation import generate_images
from pipelines.ray_jobs.loopback import ADDRESS, SETTINGS, ray_on_loopback
from pipelines.ray_jobs.session import _worker_environment
from pipelines.ray_jobs.training import run_training
from pipelines.settings.cluster import ClusterConfig
from sampling.config import SamplerConfig
from sampling.request import GenerationRequest

TESTS = Path(__file__).parents[2]
made = SimpleNamespace(**run_path(str(TESTS / "training" / "test_captions.py")))
sockets = SimpleNamespace(**run_path(str(TESTS / "sockets.py")))
listening, reachable_from_elsewhere = sockets.listening, sockets.reachable_from_elsewhere
METRICS_PORTS = (44217, 44227)
"""Of Ray's monitor and its dashboard. Another server may get one of them by chance."""


def gives_metrics(port: int) -> bool:
    try:
        with urlopen(f"http://{ADDRESS}:{port}/metrics", timeout=5) as answer:
            return answer.status == 200
    except (OSError, HTTPException):  # nobody, or a server that speaks something else
        return False


def test_a_socket_on_every_interface_is_found():
    with socket.socket() as everywhere, socket.socket() as here:
        for end, address in ((everywhere, "0.0.0.0"), (here, "127.0.0.1")):
            end.bind((address, 0))
            end.listen()
        found = listening()
        assert reachable_from_elsewhere(found[everywhere.getsockname()[1]][0])
        assert not reachable_from_elsewhere(found[here.getsockname()[1]][0])
    assert [reachable_from_elsewhere(a) for a in ("::", "::1", "::ffff:127.0.0.1")] == [
        True,
        False,
        False,
    ]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A training of latents for captions, with a game, on Ray and in this process.

    Of that on Ray its sockets and events are kept; its mailbox is killed at the first event.
    """
    import ray

    folder = tmp_path_factory.mktemp("watched")
    seen = SimpleNamespace(folder=folder, listening={}, metrics=set(), events=[], killed=[])

    def report(event):
        seen.events.append(event)
        if not event.nimg % 64:
            seen.listening.update(listening())
            seen.metrics |= {port for port in METRICS_PORTS if gives_metrics(port)}
        if not seen.killed:
            (name,) = [n for n in ray.util.list_named_actors() if n.startswith("mailbox-")]
            seen.killed.append(name)
            ray.kill(ray.get_actor(name))

    pictures, latents = made.captioned_latents(folder)
    settings = made.settings(total_kimg=0.192, game="graph")
    cluster = ClusterConfig(num_workers=1, use_gpu=False, max_failures=0)
    with pytest.warns(UserWarning, match="lost and made anew"):
        run_training(settings, pictures, folder / "run", cluster, report, latents)
    alone = ClusterConfig(num_workers=0)
    run_training(settings, pictures, folder / "alone", alone, lambda event: None, latents)
    return seen


@pytest.mark.slow
def test_a_training_listens_on_this_machine_only(watched):
    """Ray's servers, its metrics and torch's store once listened on every interface."""
    found = watched.listening
    names = " ".join(name for _, name in found.values())
    assert "gcs_server" in names and "raylet" in names and "RayTrainWo" in names  # Linux cuts
    assert {p: who for p, who in found.items() if reachable_from_elsewhere(who[0])} == {}
    assert watched.metrics == set()


@pytest.mark.slow
def test_a_training_on_ray_is_that_of_one_process(watched):
    alone, on_ray = (made.runs.final(watched.folder / name) for name in ("alone", "run"))
    assert any("conditions.table" in name for name in alone[0])
    made.runs.assert_same(alone, on_ray, rtol=1e-3, atol=2e-4)


@pytest.mark.slow
def test_an_evaluation_listens_on_this_machine_only_and_draws_the_same_images(tmp_path):
    config = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    torch.manual_seed(0)
    denoiser, weights = Denoiser((1, 8, 8), 10, config), tmp_path / "w.safetensors"
    torch.nn.init.ones_(denoiser.unet.output_gain)
    save_weights(weights, denoiser.state_dict(), describe(denoiser))
    request = GenerationRequest(
        sampler=SamplerConfig(solver="heun", grid="karras", steps=3),
        seed=7,
        indices=range(20),
        labels=np.arange(20) % 10,
        batch_size=8,
        weights=str(weights),
    )
    found = {}

    def progress(done, total):
        found.update(listening())

    one = generate_images(request, ClusterConfig(), lambda *_: None)
    two = generate_images(request, ClusterConfig(evaluate_workers=2, use_gpu=False), progress)
    assert one.shape == (20, 8, 8, 1) and one.std() > 5
    # another split of the batch may round differently
    assert np.abs(one.astype(int) - two.astype(int)).max() <= 1
    assert any("raylet" in name for _, name in found.values())
    assert {p: who for p, who in found.items() if reachable_from_elsewhere(who[0])} == {}


@pytest.mark.slow
def test_a_dead_mailbox_ends_no_training_on_ray(watched):
    """It is killed at the first event; later ones arrive by another. And Ray's own files go."""
    assert (watched.folder / "run" / "train.json").is_file() and watched.killed
    assert watched.events[-1].nimg == 192, "the last events arrived by the second mailbox"
    assert not list((watched.folder / "ray").glob("run-*"))


def test_other_clusters_keep_their_addresses(monkeypatch):
    from ray._private import ray_constants

    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    before = ray_constants.ENABLE_RAY_CLUSTER
    with ray_on_loopback():
        assert not ray_constants.ENABLE_RAY_CLUSTER
        assert SETTINGS.items() <= os.environ.items()
    assert before == ray_constants.ENABLE_RAY_CLUSTER and not set(SETTINGS) & set(os.environ)
    assert "GLOO_SOCKET_IFNAME" in _worker_environment(ClusterConfig())
    assert "GLOO_SOCKET_IFNAME" not in _worker_environment(ClusterConfig(address="auto"))
