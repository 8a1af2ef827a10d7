"""Runs as MLflow keeps them, read back through its own client."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipelines.console.training_monitor import close_training
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.provenance import process_tags
from pipelines.tracking.run_names import JUDGED_BY, gate_tags
from pipelines.tracking.run_status import status_word
from pipelines.tracking.stage_run import TrackingConfig

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("tracked_stages.py"))))
CONFIG, FakeParams, start = runs.CONFIG, runs.FakeParams, runs.start


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder without presets and without git."""
    monkeypatch.chdir(tmp_path)


def steps(client, run_id, key):
    return [point.step for point in client.get_metric_history(run_id, key)]


def test_parent_and_children_of_a_whole_pipeline(root, client):
    with start("train", root, "aaaa11") as run:
        run.log_metrics({"loss": 2.0, "bad": float("nan"), "absent": None}, 96)
        run.log_metrics({"loss": 1.0}, 192)
        run.log_image(np.zeros([8, 8, 1], np.uint8), "samples ema 0.05", 192)
        run.log_dataset({"source": "digits", "content_hash": "ab" * 32, "num_images": 1797})
        train_id, parent_id = run.run_id, run.parent.run_id
        assert client.get_run(train_id).info.status == "RUNNING"
    with start("evaluate", root, "aaaa11", item="0.05-default") as run:
        run.log_metrics({"kid": 0.25})
        evaluate_id = run.run_id
    assert client.get_run(parent_id).info.status == "RUNNING"
    with start("summarize", root, "aaaa11") as run:
        assert run.parent.run_id == parent_id
        run.parent.log_metrics({"kid": 0.25})

    parent, train, evaluate = (client.get_run(i) for i in (parent_id, train_id, evaluate_id))
    assert {run.info.status for run in (parent, train, evaluate)} == {"FINISHED"}
    assert parent.info.run_name == "digits graph s0 aaaa"
    assert train.info.run_name == "train"
    assert evaluate.info.run_name == "evaluate 0.05 default"
    assert train.data.tags["mlflow.parentRunId"] == parent_id
    assert train.data.tags["fingerprint"] == "fp-train-aaaa11"
    assert parent.data.params["structure.kind"] == "graph"
    # MLflow would write them above each picture of the run.
    assert train.data.params == {} and evaluate.data.params == {"evaluation.k": "5"}
    kept = Path(client.download_artifacts(train_id, "params.json", ".")).read_text()
    assert json.loads(kept) == {"seed": 0, "train.lr": 0.01, "train.batch_size": 96}
    assert parent.data.tags["structure.kind"] == "graph"
    assert parent.data.metrics == {"kid": 0.25}
    assert steps(client, train_id, "loss") == [96, 192]
    assert set(train.data.metrics) == {"loss"}
    (picture,) = [
        f.path for f in client.list_artifacts(train_id, "images") if f.path.endswith("png")
    ]
    assert "step" in picture and "192" in picture
    assert train.inputs.dataset_inputs[0].dataset.digest.startswith("abab")
    assert len(open_run_store(CONFIG, root).search({"mlflow.parentRunId": parent_id})) == 3


def test_failure_is_told_and_the_next_start_goes_on_without_repeating(root, client):
    with pytest.raises(ValueError), start("train", root, "bbbb11") as run:
        run.log_metrics({"loss": 3.0}, 100)
        run.log_metrics({"loss": 2.0}, 200)
        run.log_image(np.zeros([8, 8, 3], np.uint8), "a/b", 100)
        raise ValueError("it broke")
    failed = client.get_run(run.run_id)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["error"] == "ValueError: it broke"
    assert client.get_run(run.parent.run_id).info.status == "FAILED"

    with start("train", root, "bbbb11") as again:
        assert again.run_id == run.run_id
        assert again.last_step == 200
        assert client.get_run(run.parent.run_id).info.status == "RUNNING"
        for nimg in (100, 200, 300):  # resumed from the checkpoint at 0
            again.log_metrics({"loss": 1.0}, nimg)
            again.log_image(np.zeros([8, 8, 3], np.uint8), "a/b", nimg)
    assert client.get_run(again.run_id).info.status == "FINISHED"
    assert "error" not in client.get_run(again.run_id).data.tags
    assert steps(client, again.run_id, "loss") == [100, 200, 300]
    files = {f.path for f in client.list_artifacts(again.run_id, "images")}
    assert len({f for f in files if f.endswith(".png")}) == 3

    with start("train", root, "bbbb11", fresh=True) as anew:
        assert anew.run_id != again.run_id
        assert anew.last_step == -1


def test_interrupt_is_killed_and_sigterm_too(root, client):
    with pytest.raises(KeyboardInterrupt), start("train", root, "cccc11") as run:
        raise KeyboardInterrupt
    assert client.get_run(run.run_id).info.status == "KILLED"
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, start("train", root, "cccc22") as run:
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM
    assert client.get_run(run.run_id).info.status == "KILLED"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_whose_process_died_is_killed_at_the_next_start(root, client):
    store = open_run_store(CONFIG, root)
    gone = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json; from pipelines.tracking.provenance import process_tags;"
            "print(json.dumps(process_tags()))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    ended = json.loads(gone.stdout)
    parents = [
        store.create(name, {"level": "parent", "pipeline": name, **ended})
        for name in ("cut", "left")
    ]
    assert status_word(client.get_run(parents[1])) == "unfinished", "before the next start too"
    of_cut = {"level": "stage", "mlflow.parentRunId": parents[0]}
    dead = store.create("train", {**of_cut, **ended})
    alive = store.create("train", {"level": "stage", **process_tags()})
    elsewhere = store.create("train", {**json.loads(gone.stdout), "process.host": "far-away"})
    with start("evaluate", root, "dddd11"):
        pass
    statuses = [client.get_run(run_id).info.status for run_id in (dead, alive, elsewhere)]
    assert statuses == ["KILLED", "RUNNING", "RUNNING"]
    words = [status_word(client.get_run(run_id)) for run_id in (*parents, dead, alive)]
    assert words == ["killed", "unfinished", "killed", "running"]
    with start("evaluate", root, "left"):  # the same command goes on
        assert status_word(client.get_run(parents[1])) == "running"


def test_finished_parent_stays_finished_when_one_stage_runs_again(root, client):
    for stage in ("train", "summarize", "train"):
        with start(stage, root, "eeee11") as run:
            pass
    assert client.get_run(run.parent.run_id).info.status == "FINISHED"


def test_cached_stage_points_at_its_maker(root, client):
    with start("train", root, "ffff11", fingerprint="shared") as made:
        made.log_metrics({"loss": 0.5}, 1000)
    with start("train", root, "ffff22", fingerprint="shared") as shown:
        shown.mark_restored()
    tags = client.get_run(shown.run_id).data.tags
    assert tags["made_by"] == made.run_id
    assert tags["made_by.name"] == client.get_run(made.parent.run_id).info.run_name
    with start("summarize", root, "ffff33") as run:
        run.add_restored("train", "shared")
        run.add_restored("train", "shared")
        run.add_restored("train", "nobody made this")
    children = open_run_store(CONFIG, root).search({"mlflow.parentRunId": run.parent.run_id})
    (cached,) = [child for child in children if child.info.run_name == "train (cached)"]
    assert cached.data.tags["made_by"] == made.run_id
    assert cached.data.metrics == {"loss": 0.5}
    assert cached.info.status == "FINISHED"

    with start("train", root, "ffff33", fingerprint="shared") as computed:  # dvc repro -f train
        computed.log_metrics({"loss": 0.25}, 2000)
    again = client.get_run(computed.run_id)
    assert (computed.run_id, again.info.run_name) == (cached.info.run_id, "train")
    assert "made_by" not in again.data.tags
    assert again.data.metrics == {"loss": 0.25}


def test_the_same_bytes_show_the_results_of_the_run_that_has_them(root, client, tmp_path):
    """Code changed and weights did not: DVC runs no stage after train, nor summarize."""
    with start("evaluate", root, "kkkk11", item="0.1-a", fingerprint="same") as made:
        made.log_metrics({"kid": 0.25})
        made.set_tags({JUDGED_BY: '{"n": 4}'})
    with start("summarize", root, "kkkk11") as run:
        run.parent.log_metrics({"kid": 0.25, "kid_floor": 0.125})
        run.parent.set_tags({"best.item": "0.1-a", "outcome": "o1", JUDGED_BY: '{"n": 5}'})
        (tmp_path / "metrics.json").write_text("{}")
        run.parent.log_artifact(tmp_path / "metrics.json")
    with start("train", root, "kkkk22") as other:
        close_training(other, {}, "o2")
    assert client.get_run(other.parent.run_id).info.status == "RUNNING"
    assert client.get_run(other.parent.run_id).data.metrics == {}
    with start("train", root, "kkkk33") as again:
        close_training(again, {}, "o1")
    parent = client.get_run(again.parent.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"kid": 0.25, "kid_floor": 0.125}
    assert parent.data.tags["best.item"] == "0.1-a"
    assert parent.data.tags[JUDGED_BY] == '{"n": 5}'
    assert parent.data.tags["results_of"] == run.parent.run_id
    assert "same bytes as" in parent.data.tags["mlflow.note.content"]
    store = open_run_store(CONFIG, root)
    assert store.artifact(again.parent.run_id, "metrics.json") == b"{}"
    children = store.search({"mlflow.parentRunId": again.parent.run_id, "stage": "evaluate"})
    assert [child.data.tags["made_by"] for child in children] == [made.run_id]
    assert children[0].data.tags[JUDGED_BY] == '{"n": 4}'


def test_gate_is_told_on_child_and_parent_also_when_it_never_opened(root, client):
    shut = {"discriminator wins by far": 2, "too few plays": 7, "warming up": 0}
    summary = {"structure_plays": 9, "gate": {"open_fraction": 0.0, "shut_reasons": shut}}
    with start("train", root, "llll11", fingerprint="gated") as run:
        close_training(run, summary, "o3")
    told = {
        "gate.open_fraction": "0.000",
        "gate.shut_reasons": "too few plays x7; discriminator wins by far x2",
    }
    with start("summarize", root, "llll22") as other:  # whose training DVC did not run
        other.add_restored("train", "gated")
    (cached,) = open_run_store(CONFIG, root).search(
        {"mlflow.parentRunId": other.parent.run_id, "stage": "train"}
    )
    for run_id in (run.run_id, run.parent.run_id, cached.info.run_id):
        assert told.items() <= client.get_run(run_id).data.tags.items()
    assert gate_tags({"gate": {}}) == {}
    never = {"structure_plays": 0, "gate": {"open_fraction": 0.0, "shut_reasons": {}}}
    assert gate_tags(never)["gate.shut_reasons"] == "never played"
    always = {"structure_plays": 4, "gate": {"open_fraction": 1.0, "shut_reasons": {}}}
    assert gate_tags(always) == {
        "gate.open_fraction": "1.000",
        "gate.shut_reasons": "never shut",
    }


def test_a_grid_opens_with_a_picture(root):
    """MLflow's slider opens at step 0, where the newest picture stands, with a line under it."""
    store = open_run_store(CONFIG, root)

    def opens_with(key):
        return np.asarray(Image.open(io.BytesIO(store.image(run.run_id, key, 0))).convert("L"))

    with start("train", root, "mmmm11") as run:
        for step, grey in ((100, 9), (200, 99)):
            run.log_image(np.full([8, 8, 3], grey, np.uint8), "samples a", step, f"at {step}")
            pixels = opens_with("samples a")
            assert (pixels[:300, :300] == grey).all(), "the picture, enlarged"
            assert pixels.shape[0] > 330 and (pixels[325:] < 90).any(), "its line of text"
        run.log_image(np.zeros([8, 8, 1], np.uint8), "plain", 100)
    with start("train", root, "mmmm11") as run:  # resumed; the step before is repeated
        for step, grey in ((200, 99), (300, 199)):
            run.log_image(np.full([8, 8, 3], grey, np.uint8), "samples a", step, f"at {step}")
    expected = {("samples a", step) for step in (0, 100, 200, 300)} | {("plain", 100)}
    assert set(store.image_files(run.run_id)) == expected
    assert (opens_with("samples a")[:300, :300] == 199).all()
    assert np.asarray(Image.open(io.BytesIO(store.image(run.run_id, "samples a", 200)))).max() == 99


def test_a_description_holds_small_pictures_and_replaces_earlier_results(root, client):
    with start("evaluate", root, "nnnn11", item="a") as run:
        run.parent.set_tags({"mlflow.note.content": "Changed against x."})
        for kid in (1, 2):  # a stage that is run again
            Image.new("RGB", (900, 300), (kid, 0, 0)).save("a b.png")
            run.parent.describe(f"**KID {kid}**", {Path("a b.png"): "generated"})
    note = client.get_run(run.parent.run_id).data.tags["mlflow.note.content"]
    assert "KID 1" not in note and note.endswith("Changed against x.")
    assert f"path=overview%2Fa%20b.png&run_uuid={run.parent.run_id}" in note
    assert f"{run.parent.page}/model-metrics" in note
    small = Path(client.download_artifacts(run.parent.run_id, "overview/a b.png", "."))
    with Image.open(small) as image:
        assert image.size == (360, 120) and image.getpixel((5, 5)) == (2, 0, 0)


def test_system_load_is_sampled(root, client, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    with start("evaluate", root, "jjjj11", FakeParams(TrackingConfig())) as run:
        deadline = time.monotonic() + 20
        while not client.get_run(run.run_id).data.metrics and time.monotonic() < deadline:
            time.sleep(0.2)
    metrics = client.get_run(run.run_id).data.metrics
    assert metrics["system/system_memory_usage_megabytes"] > 0
    assert run.last_step == -1


def test_note_says_what_changed_against_the_last_parent(root, client):
    with start("train", root, "gggg11"):
        pass
    params = FakeParams(train={"lr": 0.02, "batch_size": 96}, cluster={"num_workers": 4})
    with start("train", root, "gggg22", params) as run:
        pass
    note = client.get_run(run.parent.run_id).data.tags["mlflow.note.content"]
    assert "| `train.lr` | 0.01 | 0.02 |" in note
    assert "cluster" not in note
