"""Numbers that the run store did not take wait on disk, and a later start delivers them once."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from pipelines.tracking import live_run
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.provenance import process_tags
from pipelines.tracking.spool import WAITING, Spool, read_waiting
from pipelines.tracking.stage_run import TrackingConfig

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("tracked_stages.py"))))
CONFIG, FakeParams, start = runs.CONFIG, runs.FakeParams, runs.start


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A fresh store, which takes seconds to make."""
    root = tmp_path_factory.mktemp("empty")
    open_run_store(CONFIG, root)
    return root / "mlflow.db"


@pytest.fixture
def root(empty, tmp_path):
    shutil.copy(empty, tmp_path / "mlflow.db")
    return tmp_path


def waiting(root):
    return sorted((root / ".runs" / WAITING).glob("*.jsonl"))


def points(root, run_id, key="loss"):
    history = open_run_store(CONFIG, root).client.get_metric_history(run_id, key)
    return [(point.step, point.value) for point in history]


def test_a_store_that_fails_for_a_while_misses_nothing(root, monkeypatch, capfd):
    """As when another program holds the lock of the data base for longer than MLflow waits."""
    with start("train", root, "a1") as run:
        run.log_metrics({"loss": 4.0}, 100)
        run.flush()
        write = type(run._store).write

        def locked(*args, **options):
            raise sqlite3.OperationalError("database is locked")

        monkeypatch.setattr(type(run._store), "write", locked)
        for nimg in (200, 300):
            run.log_metrics({"loss": nimg / 1000}, nimg)
            run.flush()
        run.set_tags({"gate": "open"})
        (file,) = waiting(root)
        assert [point[2] for point in read_waiting(file).metrics] == [200, 300]
        monkeypatch.setattr(type(run._store), "write", write)
        monkeypatch.setattr(run, "_rest_until", 0.0)
        run.log_metrics({"loss": 0.4}, 400)
    assert points(root, run.run_id) == [(100, 4.0), (200, 0.2), (300, 0.3), (400, 0.4)]
    ended = open_run_store(CONFIG, root).client.get_run(run.run_id)
    assert ended.info.status == "FINISHED" and ended.data.tags["gate"] == "open"
    assert not waiting(root)
    said = capfd.readouterr().err
    assert said.count("numbers and tags wait in .runs till it can") == 1 and "Traceback" not in said


def test_after_a_failure_the_store_is_left_alone_in_proportion(root, monkeypatch):
    """A server that does not answer must not hold up every log line of a training."""
    now, tried = [1000.0], []
    monkeypatch.setattr(live_run.time, "monotonic", lambda: now[0])
    with start("train", root, "a2") as run:

        def slow(*args, **options):
            tried.append(now[0])
            now[0] += 20
            raise OSError("timed out")

        monkeypatch.setattr(type(run._store), "write", slow)
        for nimg in range(1, 200):
            now[0] += 6
            run.log_metrics({"loss": 1.0}, nimg)
        assert len(tried) == pytest.approx((now[0] - 1000) / 420, abs=1.5)
        monkeypatch.undo()
        monkeypatch.chdir(root)
    assert len(points(root, run.run_id)) == 199


def test_a_store_that_never_opened_gets_the_whole_run_later(root, capfd):
    """The stage that starts next delivers what the training could not."""
    stored = (root / "mlflow.db").read_bytes()
    (root / "mlflow.db").write_bytes(b"no data base" * 1000)
    with pytest.raises(RuntimeError), start("train", root, "b1") as run:
        run.log_metrics({"loss": 3.0}, 100)
        run.set_tags({"gate": "open"})
        raise RuntimeError("out of memory")
    said = capfd.readouterr().err
    assert "goes on without tracking; its numbers wait in .runs for a later start" in said
    assert len(waiting(root)) == 1 and "Traceback" not in said

    (root / "mlflow.db").write_bytes(stored)
    with start("evaluate", root, "b1") as judged:
        pass
    assert "MLflow: wrote 1 number of train that had waited" in capfd.readouterr().err
    assert not waiting(root)
    store = open_run_store(CONFIG, root)
    (trained,) = store.search({"stage": "train"})
    assert points(root, trained.info.run_id) == [(100, 3.0)]
    assert trained.info.status == "FAILED" and trained.data.tags["gate"] == "open"
    assert trained.data.tags["error"] == "RuntimeError: out of memory"
    assert trained.data.params == {} and trained.data.tags["fingerprint"] == "fp-train-b1"
    assert trained.data.tags["mlflow.parentRunId"] == judged.parent.run_id


def test_of_a_store_that_was_lost_the_run_is_made_anew_with_what_waited(root):
    with start("train", root, "c0") as run:
        header = {**run.spool._header, "pipeline": "c1", "run_id": "0" * 32}
    spool = Spool(root, {**header, "fingerprint": "fp-train-c1"})
    spool.add(metrics=[("loss", 2.0, 100, 1)])
    spool.add(status="FINISHED")
    with start("evaluate", root, "c1"):
        pass
    assert not waiting(root)
    store = open_run_store(CONFIG, root)
    (trained,) = store.search({"stage": "train", "pipeline": "c1"})
    assert trained.info.run_id != run.run_id and trained.info.status == "FINISHED"
    assert points(root, trained.info.run_id) == [(100, 2.0)]
    (parent,) = store.search({"level": "parent", "pipeline": "c1"})
    assert parent.info.status == "RUNNING", "no stage has ended it"


def test_what_is_delivered_twice_stands_once(root):
    """A run that was killed and resumed while the store was away has some steps in two files."""
    with start("train", root, "d1") as run:
        run_id, header = run.run_id, run.spool._header
    for steps in ((100, 200), (200, 300)):
        Spool(root, header).add(metrics=[("loss", s / 100, s, 1) for s in steps])
    with start("evaluate", root, "d1"):
        pass
    assert points(root, run_id) == [(100, 1.0), (200, 2.0), (300, 3.0)]


def test_what_a_living_process_or_another_store_keeps_is_left(root, tmp_path):
    with start("train", root, "e1") as run:
        header = run.spool._header
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        import psutil

        living = {**header, "child_tags": process_tags(psutil.Process(other.pid))}
        Spool(root, living).add(metrics=[("loss", 1.0, 5, 1)])
        Spool(root, {**header, "store": "elsewhere"}).add(metrics=[("loss", 1.0, 6, 1)])
        with start("evaluate", root, "e1"):
            pass
        assert len(waiting(root)) == 2 and points(root, run.run_id) == []
    finally:
        other.kill()
        other.wait()
    away = {**header, "child_tags": {**header["child_tags"], "process.host": "node7"}}
    Spool(root, away).add(metrics=[("loss", 2.0, 6, 1)])
    with start("summarize", root, "e1"):
        pass
    assert len(waiting(root)) == 2 and points(root, run.run_id) == [(5, 1.0)]
    for path in waiting(root):
        os.utime(path, (0, 0))  # another machine that has long been silent
    with start("summarize", root, "e1"):
        pass
    assert len(waiting(root)) == 1 and points(root, run.run_id) == [(5, 1.0), (6, 2.0)]


def test_a_file_that_a_kill_cut_off_is_read_as_far_as_it_goes(tmp_path):
    spool = Spool(tmp_path, {"store": "key", "stage": "train"})
    assert spool.read() is None
    spool.add(metrics=[("loss", 1.0, 5, 1)])
    spool.add(metrics=[("loss", 2.0, 6, 1)])
    whole = spool.path.read_text()
    for cut in range(len(whole)):
        spool.path.write_text(whole[:cut])
        found = read_waiting(spool.path)
        there = sum(map(complete, whole[:cut].splitlines()))
        assert (found is None) == (there == 0)
        if found is not None:
            assert len(found.metrics) == there - 1
            spool.add(metrics=[("loss", 3.0, 7, 1)])  # what comes after a cut is whole
            assert read_waiting(spool.path).metrics[there - 1 :] == [("loss", 3.0, 7, 1)]


def test_a_disk_without_room_for_the_header_leaves_no_file(tmp_path):
    disks = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "small_disk.py")))
    with disks.small_disk(tmp_path / "disk", 1) as disk:
        spool = Spool(disk, {"store": "key", "stage": "train", "flat": {"a": "x" * 60_000}})
        filler = disks.fill(disk, 20_000)
        assert not spool.add(metrics=[("loss", 1.0, 5, 1)]) and spool.read() is None
        filler.unlink()
        assert spool.add(metrics=[("loss", 1.0, 5, 1)]) and len(spool.read().metrics) == 1


def test_what_a_full_disk_keeps_out_of_the_store_is_written_once_there_is_room(
    empty, tmp_path, capfd
):
    """The store and what waits for it lie on the same disk."""
    disks = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "small_disk.py")))
    with disks.small_disk(tmp_path / "disk", 4) as disk:
        shutil.copy(empty, disk / "mlflow.db")
        with start("train", disk, "h1") as run:
            run.log_metrics({"loss": 4.0}, 100)
            run.flush()
            filler = disks.fill(disk, 0)
            for nimg in (200, 300):
                run.log_metrics({f"loss{n}": nimg / 1000 for n in range(200)}, nimg)
                run._rest_until = 0.0
                run.flush()
            filler.unlink()
        said = capfd.readouterr().err
        assert points(disk, run.run_id) == [(100, 4.0)]
        for n in (0, 199):
            assert points(disk, run.run_id, f"loss{n}") == [(200, 0.2), (300, 0.3)]
        assert open_run_store(CONFIG, disk).client.get_run(run.run_id).info.status == "FINISHED"
        assert not waiting(disk) and "Traceback" not in said and said.count("\n") == 1


def complete(text):
    try:
        return bool(json.loads(text))
    except ValueError:
        return False


def test_a_disk_that_is_full_keeps_the_numbers_in_memory(root, monkeypatch):
    with start("train", root, "f1") as run:
        monkeypatch.setattr(type(run._store), "write", lambda *a, **k: 1 / 0)
        monkeypatch.setattr(Spool, "add", lambda *a, **k: False)
        run.log_metrics({"loss": 1.0}, 7)
        run.flush()
        monkeypatch.undo()
        monkeypatch.chdir(root)
    assert points(root, run.run_id) == [(7, 1.0)]


def test_an_address_with_a_password_is_not_written_down(tmp_path):
    uri = "postgresql://me:secret@127.0.0.1:1/runs"
    params = FakeParams(TrackingConfig(uri=uri, system_metrics=False))
    with start("train", tmp_path, "g1", params) as run:
        run.log_metrics({"loss": 1.0}, 5)
    (file,) = waiting(tmp_path)
    assert "secret" not in file.read_text()
