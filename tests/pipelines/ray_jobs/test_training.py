"""Ray: images do not depend on the workers that draw them; failures are one line."""

import os

import pytest

from pipelines.ray_jobs.session import (
    ClusterError,
    _worker_environment,
    describe_cluster,
    hide_gpus,
    local_precision_note,
    ray_session,
    root_cause,
)
from pipelines.ray_jobs.tasks import processors_each
from pipelines.ray_jobs.training import worker_scaling
from pipelines.settings.cluster import ClusterConfig
from training.events import Message


def test_unreachable_address_is_one_line():
    cluster = ClusterConfig(address="127.0.0.1:1")
    with (
        pytest.raises(ClusterError, match=r"cluster\.address '127\.0\.0\.1:1'"),
        ray_session(cluster),
    ):
        pass


def test_a_folder_that_pythonpath_would_split_is_one_line(tmp_path, monkeypatch):
    folder = tmp_path / "a:b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ClusterError, match=r"a:b, since ':' .*: rename the folder"):
        _worker_environment(ClusterConfig())
    assert "PYTHONPATH" not in _worker_environment(ClusterConfig(address="10.0.0.1:6379"))


def test_the_workers_own_message_is_found():
    try:
        try:
            raise ValueError("lower train.lr")
        except ValueError as inner:
            raise RuntimeError("wrapped by Ray") from inner
    except RuntimeError as outer:
        assert root_cause(outer) == "training failed: lower train.lr"


def test_where_it_runs_is_told():
    assert describe_cluster(ClusterConfig(num_workers=0)) == "in this process"
    assert "2 workers on a local Ray" in describe_cluster(ClusterConfig())
    assert "10.0.0.1:6379" in describe_cluster(ClusterConfig(address="10.0.0.1:6379"))


@pytest.mark.parametrize(
    ("settings", "gpus", "resources", "each"),
    [
        ({}, 0, None, {"CPU": 1}),
        ({}, 2, None, {"GPU": 1}),
        ({"num_workers": (1, 4)}, 1, None, {"GPU": 1}),
        ({"use_gpu": True}, 0, None, {"GPU": 1}),  # Ray waits for them
        ({"use_gpu": False}, 2, None, {"CPU": 1}),
        ({"use_gpu": True}, 1, {"CPU": 1, "GPU": 0.5}, {"CPU": 1, "GPU": 0.5}),
        ({"use_gpu": False}, 1, {"CPU": 2}, {"CPU": 2}),
    ],
)
def test_workers_get_the_gpus_that_are_there(settings, gpus, resources, each):
    """Ray refuses GPUs for each worker without use_gpu, so both must agree."""
    scaling = worker_scaling(ClusterConfig(**settings), gpus, resources)
    assert scaling.resources_per_worker == each
    assert scaling.use_gpu == ("GPU" in each)
    assert scaling.num_workers == settings.get("num_workers", 2)


def test_no_gpu_is_seen_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    hide_gpus(ClusterConfig())
    hide_gpus(ClusterConfig(use_gpu=True))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "CUDA_VISIBLE_DEVICES" not in _worker_environment(ClusterConfig())
    hide_gpus(ClusterConfig(use_gpu=False))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert _worker_environment(ClusterConfig(use_gpu=False))["CUDA_VISIBLE_DEVICES"] == ""


def test_a_task_fits_on_every_node():
    def nodes(*counts):
        return [{"Alive": True, "Resources": {"CPU": float(count)}} for count in counts]

    dead = [{"Alive": False, "Resources": {"CPU": 1.0}}, {"Alive": True, "Resources": {}}]
    assert processors_each(nodes(64), 0) == 1
    assert processors_each(nodes(64) + dead, 4) == 16
    assert processors_each(nodes(8, 8, 8), 2) == 8  # not 12
    assert processors_each(nodes(2), 8) == 1


def test_gpus_that_stay_unused_are_told(capsys):
    assert not worker_scaling(ClusterConfig(), 1, None).use_gpu
    assert "set cluster.num_workers to 1 to use it" in capsys.readouterr().out


def test_a_failing_watcher_ends_no_training_in_this_process(training):
    def report(event):
        raise OSError("no space left for MLflow")

    with pytest.warns(UserWarning, match=r"training goes on.*no space left") as told:
        folder = training(ClusterConfig(num_workers=0), report)
    assert (folder / "train.json").is_file()
    assert len([w for w in told if "training goes on" in str(w.message)]) == 1


def test_a_precision_that_is_slow_here_is_told_before_the_first_step(training, monkeypatch):
    monkeypatch.setattr(
        "training.precision_speed.precision_note", lambda precision, device: f"{precision} is slow"
    )
    events = []
    training(ClusterConfig(num_workers=0), events.append)
    assert isinstance(events[0], Message) and events[0].text == "train: note: fp32 is slow"


def test_only_the_machine_that_trains_is_measured_beforehand(monkeypatch):
    monkeypatch.setattr("training.precision_speed.bf16_slowdown", lambda: 16.2)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert "bf16 is 16 times slower" in local_precision_note("bf16", ClusterConfig())
    assert local_precision_note("fp32", ClusterConfig()) is None
    assert local_precision_note("bf16", ClusterConfig(address="10.0.0.1:6379")) is None
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    assert local_precision_note("bf16", ClusterConfig(num_workers=2)) is None
    assert "bf16 is 16" in local_precision_note("bf16", ClusterConfig(num_workers=4))


def test_ctrl_c_ends_a_training_in_this_process(training):
    def report(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(ClusterConfig(num_workers=0), report)
