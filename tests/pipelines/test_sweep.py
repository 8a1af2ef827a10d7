"""A sweep through real Ray Tune, MLflow and DVC, on a tiny setting."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone

from pipelines.sweep import quick_evaluation
from pipelines.sweeps.space import load_sweep
from pipelines.sweeps.trial import longest_average

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

SPACE = {
    "train.lr": {"loguniform": [0.002, 0.05]},
    # files that are not there are found out by the trial only: it breaks, the sweep does not
    "train.init_from": {"choice": [None, "nowhere.safetensors"]},
    "train.lr_ramp_kimg": 0.1,
}
SWEEP = {
    "name": "tiny",
    "trials": 4,
    "max_concurrent": 2,
    "workers": 0,
    "searcher": "random",
    "reduction": 2,
    "evaluation": {"num_images": 32},
    "space": SPACE,
}


def write(clone, **changes):
    (clone.folder / "sweep.yaml").write_text(yaml.safe_dump({**SWEEP, **changes}))


def trials(clone, name="tiny"):
    path = clone.folder / ".runs" / "sweeps" / name / "trials.json"
    found = json.loads(path.read_text()) if path.is_file() else []
    return sorted(found, key=lambda trial: trial["number"])


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(
        tmp_path_factory.mktemp("clone"), cluster={"num_workers": 0}, ema={"lengths": [0.1]}
    )
    write(clone)
    clone.commit("a sweep")
    return clone


def test_interrupted_and_continued_by_the_same_command(clone):
    process = clone.start("python", "-m", "pipelines.sweep")
    assert process.stdout is not None
    for line in process.stdout:
        if ": kid " in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = trials(clone)
    (seen,) = [trial for trial in before if trial["rungs"]]
    assert len(before) < 4 or any(trial["status"] == "unfinished" for trial in before)
    out = clone.run("python", "-m", "pipelines.sweep")
    after = trials(clone)
    assert "continuing tiny" in out and len(after) == 4
    (again,) = [trial for trial in after if trial["trial_id"] == seen["trial_id"]]
    assert again["rungs"][0] == seen["rungs"][0], "judged once"
    states = [trial["status"] for trial in after]
    assert "finished" in states and "broken" in states and "unfinished" not in states
    assert "nowhere.safetensors does not exist" in out and "Traceback" not in out
    assert "params.yaml's own values of the keys that vary" in out


def test_ctrl_c_and_a_metric_that_is_best_near_its_floor(clone):
    write(
        clone,
        name="near",
        metric="density",
        trials=2,
        space={"train.lr": SPACE["train.lr"], "train.lr_ramp_kimg": 0.1},
    )
    process = clone.start("python", "-m", "pipelines.sweep")
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if ": density " in line:
            os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert "interrupted: the same command goes on" in said[-1], said
    assert any(line.startswith("sweep: stopping: ") for line in said), said
    out = clone.run("python", "-m", "pipelines.sweep")
    assert "from its floor" in out and "Ray Tune ended" not in out
    finished = [trial for trial in trials(clone, "near") if trial["status"] == "finished"]
    closest = min(finished, key=lambda trial: trial["rungs"][-1]["density_from_floor"])
    assert f"best: trial {closest['number']}, density" in out
    write(clone)


def test_mlflow_has_a_parent_and_a_child_per_trial(clone):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("sadm")
    runs = client.search_runs([experiment.experiment_id], "tags.sweep = 'tiny'")
    (parent,) = [run for run in runs if run.data.tags["level"] == "sweep"]
    children = [run for run in runs if run.data.tags["level"] == "trial"]
    assert parent.info.status == "FINISHED" and len(children) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    told = {run.data.tags["trial"]: run for run in children}
    for trial in trials(clone):
        run = told[trial["trial_id"]]
        assert run.info.status == ("FAILED" if trial["status"] == "broken" else "FINISHED")
        points = client.get_metric_history(run.info.run_id, "kid")
        assert [p.value for p in points] == [rung["kid"] for rung in trial["rungs"]]
        assert [p.step for p in points] == [rung["nimg"] for rung in trial["rungs"]]
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"parallel_coordinates.png", "best_params.yaml", "trials.csv"} <= files


def test_the_printed_line_reproduces_the_winner(clone, monkeypatch):
    finished = [trial for trial in trials(clone) if trial["status"] == "finished"]
    best = min(finished, key=lambda trial: trial["rungs"][-1]["kid"])
    line = (clone.folder / "reports/sweeps/tiny/command.txt").read_text()
    for folder in (clone.folder / ".runs").glob("train-*"):  # so that DVC trains anew
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    before = (clone.folder / "params.yaml").read_text()
    out = clone.run("bash", "-c", line)
    assert f"run {best['fingerprint']}" in out and "publishing it again" not in out
    monkeypatch.chdir(clone.folder)
    params = clone.folder / "params.yaml"
    params.write_text(before)  # the sweep's own, for its quick evaluation
    sweep = load_sweep("sweep.yaml")
    weights = longest_average(clone.folder / "outputs/train/snapshots", 512)
    measured = quick_evaluation(sweep).measure(weights, sweep.base.sampling[sweep.sampler])
    for name, value in best["rungs"][-1].items():
        if name not in ("nimg", "evaluation_s"):
            assert measured[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_another_space_under_the_same_name_is_one_line(clone):
    write(clone, space={"train.lr": {"loguniform": [0.001, 0.05]}})
    out = clone.run("python", "-m", "pipelines.sweep", ok=False)
    assert "a sweep named 'tiny' exists" in out and len(out.strip().splitlines()) == 1


def test_trials_as_ray_train_runs(clone):
    write(
        clone,
        name="train",
        trials=2,
        workers=1,
        searcher="tpe",
        space={"train.lr": SPACE["train.lr"], "train.lr_ramp_kimg": 0.1},
    )
    out = clone.run("python", "-m", "pipelines.sweep")
    found = trials(clone, "train")
    assert len(found) == 2 and {t["status"] for t in found} <= {"finished", "stopped early"}
    assert any(trial["status"] == "finished" for trial in found)
    assert found[0]["rungs"][-1]["kid"] < 9 and "best: trial" in out
