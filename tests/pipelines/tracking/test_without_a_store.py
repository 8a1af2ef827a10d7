"""A run goes on where tracking is off, or its store does not work."""

import os
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np

from pipelines.tracking.connection import open_run_store
from pipelines.tracking.stage_run import StageRun, TrackingConfig

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("tracked_stages.py"))))
CONFIG, FakeParams, start = runs.CONFIG, runs.FakeParams, runs.start


def test_without_tracking_every_call_does_nothing(tmp_path, capsys):
    params = FakeParams(TrackingConfig(enabled=False))
    with start("train", tmp_path, "hhhh", params) as run:
        run.log_metrics({"loss": 1.0}, 5)
        run.log_image(np.zeros([8, 8, 3], np.uint8), "a", 5)
        run.set_tags({"a": 1})
        run.log_dataset({})
        run.mark_restored()
        assert run.last_step == -1
        assert run.parent is None
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


def test_a_store_that_cannot_open_costs_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}"
    params = FakeParams(TrackingConfig(uri=uri, system_metrics=False))
    with start("train", tmp_path, "iiii", params) as run:
        run.log_metrics({"loss": 1.0}, 5)
    lines = capsys.readouterr().err.strip().splitlines()
    assert sum("goes on without tracking" in line for line in lines) == 1


def test_a_store_that_breaks_later_never_raises(capsys):
    class Broken:
        client = SimpleNamespace()

        def write(self, *args, **options):
            raise OSError("disk full")

    run = StageRun(Broken(), "some-id")
    for nimg in range(1000):
        run.log_metrics({"loss": 1.0}, nimg)
    run.log_artifact("nothing")
    run.end("FINISHED")
    assert capsys.readouterr().err.count("disk full") == 1


def test_a_user_without_a_name_is_tracked_by_number(tmp_path, monkeypatch, capsys):
    """Tracking was once given up, since getpwuid knew no such number."""

    def unknown():
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", unknown)
    with start("train", tmp_path, "jjjj") as run:
        pass
    assert capsys.readouterr().err == ""
    user = open_run_store(CONFIG, tmp_path).client.get_run(run.run_id).data.tags["mlflow.user"]
    assert user == f"uid-{os.getuid()}"
