"""Two Ray nodes of a processor each train, distil and draw; node and driver die meanwhile."""

import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipelines.ray_jobs.generation import generate_images
from pipelines.settings.cluster import ClusterConfig
from sampling.config import SamplerConfig
from sampling.request import GenerationRequest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from clone import Clone

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

TRAIN = ("python", "-m", "pipelines.train")
ALONE = {"num_workers": 0, "checkpoint_every_s": 3600}
FEW = {
    "kind": "consistency",
    "total_kimg": 0.128,
    "batch_size": 32,
    "lr_ramp_kimg": 0.0,
    "stage_kimg": 0.064,
    "snapshots": 2,
    "lengths": [0.1],
    "samplers": ["one"],
}
SECTIONS = {
    "train": {"total_kimg": 2.56},
    "sampling": {"one": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}},
    "students": {"few": FEW},
    "distil": ["few"],
    "tracking": {"enabled": False},
}


@contextmanager
def cluster_of_two():
    """Ray's own stand-in for machines: a head and a node, of one processor each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        for name in ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT"):
            patch.setenv(name, "-1")  # fixed ports, which other tests look at
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            yield cluster, cluster.add_node(num_cpus=1)
        finally:
            cluster.shutdown()


def steps_logged(work):
    return sum(p.read_bytes().count(b"\n") for p in work.folder.glob(".runs/train-*/curves.jsonl"))


def wait_for_steps(work, process, more):
    """Return when training has logged so many more lines, over a checkpoint."""
    deadline, until = time.time() + 240, steps_logged(work) + more
    while steps_logged(work) < until:
        assert process.poll() is None, process.stdout.read()
        assert time.time() < deadline
        time.sleep(0.02)


def images_seen_by(work):
    names = work.folder.glob(".runs/train-*/checkpoints/checkpoint-*.safetensors")
    return sorted(int(path.stem.split("-")[1]) for path in names)


def same_weights(one, two):
    """Whether all weights below both folders are equal to rounding; and there are some."""
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert files and files == sorted(path.relative_to(two) for path in two.rglob("*.safetensors"))
    for name in files:
        first, second = load_file(one / name), load_file(two / name)
        for key, values in first.items():
            assert abs(values - second[key]).max() < 1e-3, (name, key)
    return True


def test_a_run_over_two_nodes_outlives_a_node_and_its_driver(tmp_path):
    alone = Clone(tmp_path / "alone", **SECTIONS, cluster=ALONE)
    for stage in ("prepare", "train", "reconstruct", "students.distil"):
        alone.run("python", "-m", f"pipelines.{stage}")
    request = GenerationRequest(
        sampler=SamplerConfig(solver="heun", grid="karras", steps=3),
        seed=7,
        indices=range(20),
        labels=np.arange(20) % 10,
        batch_size=8,
        weights=str(alone.folder / "outputs/ema/0.1.safetensors"),
    )
    pictures = generate_images(request, ClusterConfig(), lambda *_: None)
    assert pictures.shape == (20, 8, 8, 1) and pictures.std() > 5

    with cluster_of_two() as (cluster, node):
        over = {
            "address": cluster.address,
            "num_workers": 2,
            "checkpoint_every_s": 0.5,
            "max_failures": 3,
        }
        work = Clone(tmp_path / "work", **SECTIONS, cluster=over)
        for name in ("dataset", "ema"):
            shutil.copytree(alone.folder / "outputs" / name, work.folder / "outputs" / name)
        process = work.start(*TRAIN)
        wait_for_steps(work, process, 5)
        cluster.remove_node(node, allow_graceful=False)
        time.sleep(1)
        node = cluster.add_node(num_cpus=1)
        wait_for_steps(work, process, 5)  # over both again, by itself
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert 0 < images_seen_by(work)[-1] < 2560, "it was met at work"
        cluster.remove_node(node, allow_graceful=False)
        work.edit("cluster", {"num_workers": [1, 2]})
        out = work.run(*TRAIN)  # by the one worker that there is room for
        assert "resumed at" in out and "[1, 2] workers on the Ray cluster at" in out
        assert same_weights(work.folder / "outputs/train", alone.folder / "outputs/train")

        cluster.add_node(num_cpus=1)
        work.edit("cluster", {"num_workers": 2})
        work.run("python", "-m", "pipelines.students.distil")
        assert same_weights(work.folder / "outputs/students", alone.folder / "outputs/students")
        on_both = ClusterConfig(address=cluster.address, evaluate_workers=2)
        spread = generate_images(request, on_both, lambda *_: None)
        # another split of the batch may round differently
        assert np.abs(pictures.astype(int) - spread.astype(int)).max() <= 1
