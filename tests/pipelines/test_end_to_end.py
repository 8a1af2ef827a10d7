"""`dvc repro` in a temporary clone: real DVC, Ray and MLflow, on a tiny setting."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone, stages_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def dry(clone: Clone) -> set[str]:
    """Stages that `dvc repro` would run."""
    return stages_run(clone.run("dvc", "repro", "--dry"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory, dvc_cache):
    clone = Clone(tmp_path_factory.mktemp("clone"), dvc_cache, store=False)
    clone.output = clone.run("dvc", "repro")
    clone.commit("default run")
    return clone


def test_every_output_is_there(clone):
    folder = clone.folder
    data = json.loads((folder / "outputs/dataset/dataset.json").read_text())
    assert data["num_images"] == 1797 and data["num_classes"] == 10
    sheet = np.asarray(Image.open(folder / "outputs/dataset/sheet.png"))
    assert sheet.std() > 5 and sheet.shape[0] > 10 * 50  # a row for each class
    train = json.loads((folder / "outputs/train/train.json").read_text())
    assert train["total_nimg"] == 512 and train["structure_plays"] > 0
    rows = list(csv.DictReader((folder / "outputs/train/curves.csv").open()))
    assert len(rows) >= 8 and any(row["structure/lambda"] for row in rows)
    assert len(list((folder / "outputs/train/snapshots").glob("*.safetensors"))) == 8
    for item in ("0.05-heun3", "0.1-heun3"):
        metrics = json.loads((folder / f"outputs/evaluate/{item}/metrics.json").read_text())
        for name in ("fd", "kid", "conditional_accuracy", "coverage", "structure_gap"):
            assert np.isfinite(metrics["metrics"][name]["value"]), name
        assert metrics["metrics"]["fd"]["floor"] < metrics["metrics"]["fd"]["value"]
        assert "FID" not in metrics["metric_name"]
        for picture in ("samples.png", "real.png", "nearest.png"):
            image = np.asarray(Image.open(folder / f"outputs/evaluate/{item}/{picture}"))
            assert image.std() > 5, "a picture with nothing on it"
    report = json.loads((folder / "reports/metrics.json").read_text())
    assert set(report["items"]) == {"0.05-heun3", "0.1-heun3"}
    page = (folder / "reports/report.html").read_text()
    assert page.count("data:image/png;base64,") >= 6 and "http://" not in page.split("<body")[1]


def test_floors_are_measured_once_for_all_items_and_starts(clone):
    (floors,) = (clone.folder / ".runs" / "floors").iterdir()  # of both items
    os.utime(floors, ns=(0, 0))  # floors that are measured are written
    for length in ("0.05", "0.1"):
        file = clone.folder / f"outputs/evaluate/{length}-heun3/metrics.json"
        before = file.read_text()
        clone.run("python", "-m", "pipelines.evaluate", "--length", length, "--sampler", "heun3")
        assert file.read_text() == before
    (again,) = (clone.folder / ".runs" / "floors").iterdir()
    assert again == floors and again.stat().st_mtime_ns == 0


def test_the_record_tells_whether_the_result_stands(clone):
    told = clone.run("python", "-m", "pipelines.verify")
    assert "metrics.json is the result of what is here" in told and "NOT" not in told


def test_mlflow_tells_the_same(clone):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("sadm")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = {run.info.run_name: run for run in runs if run not in parents}
    train = next(run for name, run in children.items() if name.startswith("train"))
    history = client.get_metric_history(train.info.run_id, "loss")
    assert [point.step for point in history] == list(range(64, 513, 64))
    reconstruct = next(run for name, run in children.items() if name.startswith("reconstruct"))
    assert set(reconstruct.data.params) == {"ema.lengths"} and train.data.params == {}
    report = json.loads((clone.folder / "reports/metrics.json").read_text())
    item = report["items"]["0.1-heun3"]
    evaluate = next(r for n, r in children.items() if n.startswith("evaluate") and "0.1" in n)
    assert evaluate.data.metrics["fd"] == pytest.approx(item["fd"]["value"])
    reference = json.loads((clone.folder / "outputs/reference/reference.json").read_text())
    judged_by = report["judged_by"]
    assert judged_by["n"] == item["n"] and judged_by["data"] == "digits, 8x8, 1 channel"
    assert reference["dataset_hash"].startswith(judged_by["dataset_hash"])
    for run in (evaluate, parents[0]):
        assert json.loads(run.data.tags["judged_by"]) == judged_by
    images = [f.path for f in client.list_artifacts(train.info.run_id, "images")]
    assert images, "no sample pictures during training"


def test_only_what_changed_runs_again(clone):
    assert dry(clone) == set()
    text = (clone.folder / "params.yaml").read_text()
    for section, changes, stages in (
        ("cluster", {"num_workers": 0}, set()),
        ("tracking", {"experiment": "other"}, set()),
        (
            "evaluation",
            {"num_images": 65},
            # of students there are none: that stage writes one small file
            {"evaluate@0.05-heun3", "evaluate@0.1-heun3", "evaluate_students", "summarize"},
        ),
        # --dry compares the outputs as they lie there, so it stops at the first changed stage.
        # The report lists changed params, so summarize reads all of them.
        ("structure", {"kind": "none"}, {"kinds", "train", "summarize"}),
    ):
        clone.edit(section, changes)
        told = dry(clone)
        (clone.folder / "params.yaml").write_text(text)
        assert told == stages, section


def test_an_edit_runs_what_uses_the_file_and_nothing_else(clone):
    before = {}

    def edit(*names: str) -> None:
        for name in names:
            before[name] = (clone.folder / name).read_text()
            (clone.folder / name).write_text(before[name] + "# a remark\n")

    edit("dataset/sources/huggingface.py", "sampling/solvers/unipc.py")
    assert "up to date" in clone.run("dvc", "status", "train")
    assert dry(clone) == {"kinds"}
    clone.run("dvc", "repro", "kinds")  # a second: it lists the code that params choose
    assert dry(clone) == set()
    edit("sampling/solvers/heun.py")  # the evaluated sampler's
    clone.run("dvc", "repro", "kinds")
    assert dry(clone) == {"evaluate@0.05-heun3", "evaluate@0.1-heun3"}
    edit("training/loop.py")
    status = clone.run("dvc", "status", "train")
    assert "up to date" not in status and "training/loop.py" in status
    for name, text in before.items():
        (clone.folder / name).write_text(text)
    clone.run("dvc", "repro", "kinds")
    assert dry(clone) == set(), "the same code, and the same list of it"


def test_bad_params_are_one_message(clone, tmp_path):
    work = Clone(tmp_path / "bad", train={"lr": -1})
    out = work.run("python", "-m", "pipelines.prepare", ok=False)
    assert "train.lr: -1" in out and "Traceback" not in out


def test_a_new_length_runs_its_own_item_only(clone):
    clone.edit("ema", {"lengths": [0.05, 0.10, 0.2]})
    ran = stages_run(clone.run("dvc", "repro"))
    # attributes and distil depend on all averages; without any they write small files again
    assert ran == {"reconstruct", "attributes", "evaluate@0.2-heun3", "distil", "summarize"}
    report = json.loads((clone.folder / "reports/metrics.json").read_text())
    assert set(report["items"]) == {"0.05-heun3", "0.1-heun3", "0.2-heun3"}
