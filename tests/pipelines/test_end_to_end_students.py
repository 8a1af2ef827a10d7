"""`dvc repro` with students in a temporary clone: trained, judged, added to, killed."""

import json
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone, stages_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHORT = {
    "total_kimg": 0.512,
    "batch_size": 32,
    "lr_ramp_kimg": 0.0,
    "log_every_kimg": 0.064,
    "snapshots": 2,
    "lengths": [0.1],
}
QUICK = {"kind": "distribution_matching", "critic_steps": 2, "samplers": ["one"], **SHORT}
STEADY = {"kind": "consistency", "stage_kimg": 0.256, "samplers": ["one", "two"], **SHORT}
PLAIN = {"kind": "regression", "pairs": 40, "samplers": ["one"], **SHORT}
PLAIN["sampler"] = {"solver": "heun", "grid": "karras", "steps": 2}
SAMPLING = {
    "one": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]},
    "two": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0, 2.5]},
}
STUDENTS = {"quick": QUICK, "steady": STEADY}
ITEMS = {"quick-0.1-one", "steady-0.1-one", "steady-0.1-two"}
OWN = {"0.05-heun3", "0.1-heun3"}


def with_students(folder, cache=None, **sections):
    return Clone(
        folder,
        cache,
        sampling=SAMPLING,
        students=STUDENTS,
        distil=list(STUDENTS),
        cluster={"num_workers": 0},
        **sections,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory, dvc_cache):
    clone = with_students(tmp_path_factory.mktemp("clone"), dvc_cache)
    clone.output = clone.run("dvc", "repro")
    clone.commit("run with students")
    return clone


def test_students_are_trained_judged_and_reported(clone):
    folder = clone.folder
    listed = json.loads((folder / "outputs/students/students.json").read_text())["students"]
    assert [entry["name"] for entry in listed] == ["quick", "steady"]
    assert listed[0]["levels"] == [80.0] and listed[1]["levels"] is None
    assert listed[0]["teacher_length"] == 0.1 and listed[0]["total_nimg"] == 512
    for name in STUDENTS:
        files = {path.name for path in (folder / "outputs/students" / name).iterdir()}
        assert files == {"0.1.safetensors", "0.1.json", "train.json", "curves.csv"}
        weights = (folder / f"outputs/students/{name}/0.1.safetensors").read_bytes()
        assert weights != (folder / "outputs/ema/0.1.safetensors").read_bytes()
    for item in ITEMS:
        out = folder / "outputs/evaluate_students" / item
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["student"] == item.split("-")[0] and metrics["teacher_length"] == 0.1
        assert np.isfinite(metrics["metrics"]["fd"]["value"])
        assert metrics["network_evaluations"] == (2 if item.endswith("two") else 1)
        assert np.asarray(Image.open(out / "samples.png")).std() > 5
    report = json.loads((folder / "reports/metrics.json").read_text())
    assert set(report["items"]) == OWN | ITEMS and report["best"]["item"] in OWN
    table = (folder / "reports/fid_by_ema.csv").read_text().splitlines()
    assert len(table) == 1 + len(OWN)
    page = (folder / "reports/report.html").read_text()
    assert "<h2>Students</h2>" in page and "samples of quick-0.1-one" in page


def test_mlflow_has_a_run_of_every_student_and_item(clone):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    runs = client.search_runs(["1"])
    assert {run.info.status for run in runs} == {"FINISHED"}
    tags = [run.data.tags for run in runs]
    told = {(t.get("stage"), t.get("item")) for t in tags if t.get("item")}
    assert {("distil", name) for name in STUDENTS} <= told
    assert {("evaluate_students", item) for item in ITEMS} <= told
    quick = next(r for r in runs if r.data.tags.get("item") == "quick")
    points = client.get_metric_history(quick.info.run_id, "loss")
    assert [point.step for point in points][-1] == 512


def test_a_students_weights_draw_by_themselves(clone):
    weights = "outputs/students/quick/0.1.safetensors"
    out = clone.run("python", "-m", "pipelines.sample", weights, "--count", "4", "--grid", "a.png")
    assert "4 images on a.png" in out
    out = clone.run(
        *("python", "-m", "pipelines.sample", weights, "--guide", "classifier_free=2"),
        *("--grid", "b.png"),
        ok=False,
    )
    assert "is a student (distribution_matching)" in out and "Traceback" not in out


@pytest.fixture(scope="module")
def on_ray(clone):
    """The clone after a third student, which two Ray workers train; what it was and said before."""
    assert stages_run(clone.run("dvc", "repro", "--dry")) == set()
    runs = {p.parent.name: p.stat().st_mtime_ns for p in clone.folder.glob(".runs/*/train.json")}
    before = (clone.folder / "reports/metrics.json").read_text()
    clone.edit("students", {"plain": PLAIN})
    clone.edit("distil", ["quick", "steady", "plain"])
    clone.edit("cluster", {"num_workers": 2})  # decides no result; here it is a run on Ray
    out = clone.run("dvc", "repro")
    return SimpleNamespace(clone=clone, runs=runs, before=before, out=out)


def test_another_student_is_trained_alone(on_ray):
    clone, runs, before, out = on_ray.clone, on_ray.runs, on_ray.before, on_ray.out
    assert stages_run(out) == {"kinds", "distil", "evaluate_students", "summarize"}
    assert out.count("is finished: publishing it") == 2 and out.count("as judged before") == 3
    after = {p.parent.name: p.stat().st_mtime_ns for p in clone.folder.glob(".runs/*/train.json")}
    assert runs.items() <= after.items() and len(after) == len(runs) + 1
    report = json.loads((clone.folder / "reports/metrics.json").read_text())
    assert set(report["items"]) == OWN | ITEMS | {"plain-0.1-one"}
    del report["items"]["plain-0.1-one"]
    before = json.loads(before)
    assert report.pop("provenance") != before.pop("provenance")  # it tells of the new student
    assert report == before


def test_kill_9_and_the_same_command_goes_on_to_the_same_weights(on_ray, tmp_path):
    """On Ray workers this is done with a denoiser, in test_stopping.py."""
    name, whole = "quick", on_ray.clone.folder
    work = with_students(tmp_path / "killed", tracking={"enabled": False})
    work.edit("students", {"plain": PLAIN})
    work.edit("distil", [name])
    (kept,) = whole.glob(f".runs/distil-{name}-*/")
    for part in ("dataset", "ema"):
        shutil.copytree(whole / "outputs" / part, work.folder / "outputs" / part)
    process = work.start("python", "-m", "pipelines.students.distil")
    deadline = time.time() + 240

    def checkpoints():
        return sorted(work.folder.glob(f".runs/distil-{name}-*/checkpoints/*.safetensors"))

    while len(checkpoints()) < 2 and time.time() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert int(checkpoints()[-1].stem.split("-")[1]) < 512, "it was over before the kill"
    out = work.run("python", "-m", "pipelines.students.distil")
    assert "resumed at" in out, out
    (run,) = work.folder.glob(f".runs/distil-{name}-*/")
    assert run.name == kept.name
    paths = list(kept.glob("snapshots/*.safetensors"))
    assert len(paths) == 4
    for path in paths:
        assert (run / "snapshots" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_last_students_go(on_ray):
    clone = on_ray.clone
    clone.edit("distil", [])
    out = clone.run("dvc", "repro")
    assert "params list no student" in out and stages_run(out) >= {"distil", "summarize"}
    report = json.loads((clone.folder / "reports/metrics.json").read_text())
    assert set(report["items"]) == OWN
    assert not list((clone.folder / "outputs/students").glob("*/"))
    assert json.loads((clone.folder / "outputs/evaluate_students/items.json").read_text()) == {
        "items": []
    }
