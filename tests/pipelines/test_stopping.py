"""A training in a process of its own that is told to stop: it saves, leaves, and loses nothing."""

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from models.denoiser import Denoiser, describe
from models.weights import save_weights
from pipelines.params import load_params

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone

pytestmark = [
    *(pytest.mark.slow, pytest.mark.timeout(600)),
    pytest.mark.usefixtures("signals_heard"),
]

TRAIN = ("python", "-m", "pipelines.train")
LONG = {"cluster": {"num_workers": 0, "checkpoint_every_s": 3600}, "train": {"total_kimg": 5.12}}
"""Long enough to be met at work; no checkpoint is due before its end."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("prepared"), **LONG)
    clone.run("python", "-m", "pipelines.prepare")
    return clone


def once_more(prepared, folder, **sections):
    work = Clone(folder, **{**LONG, **sections})
    shutil.copytree(prepared.folder / "outputs/dataset", work.folder / "outputs/dataset")
    return work


def wait_for_steps(work, process, since=0):
    """Return when training has logged more than `since` lines."""
    deadline = time.time() + 240
    while lines(work) <= since and time.time() < deadline:
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.02)


def lines(work):
    return sum(path.read_bytes().count(b"\n") for path in work.folder.glob(".runs/*/curves.jsonl"))


def saved(work):
    names = work.folder.glob(".runs/train-*/checkpoints/checkpoint-*.safetensors")
    return sorted(int(path.stem.split("-")[1]) for path in names)


def hang_up(work):
    """Start training in a terminal and close it once it trains; returns the exit code."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        TRAIN,
        cwd=work.folder,
        env=work.environment(),
        stdin=its,
        stdout=its,
        stderr=its,
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
    )
    os.close(its)
    os.set_blocking(ours, False)
    since, deadline = lines(work), time.time() + 240
    while lines(work) <= since and time.time() < deadline:
        assert process.poll() is None
        try:
            os.read(ours, 65536)  # a terminal that nobody reads would hold the process up
        except BlockingIOError:
            time.sleep(0.02)
    os.close(ours)
    return process.wait(timeout=120)


def test_sigterm_a_closed_terminal_and_ctrl_c_lose_nothing(prepared, tmp_path, s3_server):
    """At last the machine is lost, and another one goes on from the run's copy in a bucket."""
    from mlflow.tracking import MlflowClient

    copies = {**LONG["cluster"], "storage": f"s3://runs/stopping?endpoint={s3_server}"}
    work = once_more(prepared, tmp_path / "stopped", cluster=copies)
    process = work.start(*TRAIN)
    wait_for_steps(work, process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 75 and "Traceback" not in said, said
    assert "SIGTERM: training saves a checkpoint" in said and "saved and stopped at" in said
    first = saved(work)
    assert len(first) == 1 and 0 < first[0] < 5120, "saved, though none was due"
    client = MlflowClient(f"sqlite:///{work.folder}/mlflow.db")
    runs = client.search_runs(["1"], "tags.stage = 'train'")
    assert {run.info.status for run in runs} == {"KILLED"}

    assert hang_up(work) == 75
    second = saved(work)
    assert second[-1] > first[-1] and second[-1] < 5120

    process = work.start(*TRAIN)
    wait_for_steps(work, process, lines(work))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert "interrupted: the same command goes on" in said
    assert saved(work)[-1] > second[-1]
    assert f"train: a copy of this run at {saved(work)[-1] / 1000:g} kimg is in s3://runs" in said

    shutil.rmtree(work.folder)
    work = once_more(prepared, tmp_path / "other", cluster=copies)
    out = work.run(*TRAIN)
    assert f"of this run at {saved_text(said, 4)} kimg from its copy" in out, out
    assert f"resumed at {saved_text(said)} of 5.1 kimg" in out, (said, out)
    whole = once_more(prepared, tmp_path / "whole")
    for again in ((), ("--fresh",)):
        whole.run(*TRAIN, *again)
        assert tree(work.folder / "outputs/train") == tree(whole.folder / "outputs/train")
    first, second = tracked(whole)
    assert first == second and len(first) > 10 and {"loss", "held_out/loss"} <= first.keys()


def tracked(work):
    """{metric: its values and steps} of each training that MLflow keeps, but for times."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{work.folder}/mlflow.db")
    return [
        {
            name: sorted(
                (m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
            if not re.search("img_per_s|second|system/", name)
        }
        for run in client.search_runs(["1"], "tags.stage = 'train'")
    ]


def saved_text(said, digits=None):
    """The kimg of the line about stopping, as the line about resuming rounds it; or as it is."""
    kimg = float(said.split("saved and stopped at ")[1].split()[0])
    return f"{kimg:.1f}" if digits is None else f"{kimg:.{digits}g}"


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def ray_workers(process):
    """The processes that train, among those that a driver has started."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(child.cmdline()):
                found.append(child)
    return found


def write_weights(work):
    """Weights start/w.safetensors of a denoiser as params ask for."""
    params = load_params(work.folder / "params.yaml")
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), 10, params.model)
    path = work.folder / "start/w.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))


def kill_ray(process):
    """Kill the processes that Ray starts for itself on a node: raylet, servers, agents, monitor."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "RayTrainWorker" not in " ".join(child.cmdline()):
                child.kill()


def test_killed_workers_rays_own_processes_and_ctrl_c_cost_no_bit_on_ray(prepared, tmp_path):
    """Two Ray workers: one is killed at work, then Ray's own processes, then comes Ctrl-C.

    They begin with weights that params name relative to the project.
    """
    from mlflow.tracking import MlflowClient

    with_ray = {"num_workers": 2, "max_failures": 1}
    train = LONG["train"] | {"init_from": "start/w.safetensors"}
    whole, work = (
        once_more(prepared, tmp_path / name, train=train, cluster={**with_ray, **more})
        for name, more in (("whole", {}), ("killed", {"checkpoint_every_s": 1}))
    )
    for one in (whole, work):
        write_weights(one)
    whole.run(*TRAIN)

    process = work.start(*TRAIN)
    deadline = time.time() + 240
    while not saved(work) and time.time() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    ray_workers(process)[-1].kill()
    wait_for_steps(work, process, lines(work) + 10)  # Ray has begun again, and gone beyond
    kill_ray(process)
    process.communicate(timeout=120)  # Ray ends the driver, with words of its own
    assert process.returncode == 1
    assert 0 < saved(work)[-1] < 5120

    process = work.start(*TRAIN)  # it waits for workers that outlive their driver by seconds
    wait_for_steps(work, process, lines(work) + 10)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert "saved and stopped at" in said and "resumed at" in said
    runs = MlflowClient(f"sqlite:///{work.folder}/mlflow.db").search_runs(
        ["1"], "tags.stage = 'train'"
    )
    assert runs[0].info.status == "KILLED"
    assert 0 < saved(work)[-1] < 5120

    out = work.run(*TRAIN)
    assert f"resumed at {saved_text(said)} of 5.1 kimg" in out, (said, out)
    assert tree(work.folder / "outputs/train") == tree(whole.folder / "outputs/train")
