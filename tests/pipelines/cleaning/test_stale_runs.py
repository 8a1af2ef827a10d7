"""Runs that somebody goes on with stay; those of other params or data go."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.cleaning.stale_runs import StaleRuns
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml
from pipelines.workspace.fingerprint import (
    Identity,
    stage_identity,
    student_identity,
    train_params_hash,
)
from pipelines.workspace.wanted_runs import no_longer_wanted, want, wanted, who_wants

PRESET = Path(__file__).parents[3] / "presets" / "digits.yaml"


@pytest.fixture
def raw():
    return read_yaml(PRESET)


@pytest.fixture
def params(workspace, raw, write_data_set):
    params = check_params(raw)
    write_data_set(workspace, params)
    return params


def begun(workspace, identity, *, finished=False):
    folder = identity.folder(workspace)
    (folder / "checkpoints").mkdir(parents=True)
    identity.save(folder)
    (folder.parent / f"{folder.name}.lock").touch()
    if finished:
        (folder / "train.json").touch()
    return folder


def going(params, workspace, prepared=True):
    found = StaleRuns(params, workspace, prepared)
    return {path for part in found.parts() for path in part.paths}, list(found.notes())


def test_only_runs_of_other_params_or_data_go(params, workspace):
    now = stage_identity("train", params)
    begun(workspace, now)
    begun(workspace, Identity("train", now.params, now.inputs, "edited"))
    begun(workspace, Identity("train", "other", "other", "code"), finished=True)
    stale = [
        begun(workspace, Identity("train", "other", now.inputs, now.code)),
        begun(workspace, Identity("train", now.params, "other", now.code)),
    ]
    ray = workspace / ".runs" / "ray" / f"{stale[0].name}-0123456789ab"
    ray.mkdir(parents=True)
    locks = {run.with_name(f"{run.name}.lock") for run in stale}
    paths, notes = going(params, workspace)
    assert paths == {*stale, ray, *locks}
    assert "kept: 2 unfinished runs under .runs: of these params and data" in notes[0]
    assert "kept: 1 finished runs of other params" in notes[1]


@pytest.mark.parametrize("lost", ["dataset.json", "prepared for other params"])
def test_all_stay_while_the_data_of_params_is_not_known(params, workspace, lost):
    now = stage_identity("train", params)
    begun(workspace, now)
    begun(workspace, Identity("train", now.params, "other", now.code))
    if lost == "dataset.json":
        shutil.rmtree(workspace / "outputs" / "dataset")
    paths, notes = going(params, workspace, prepared=lost == "dataset.json")
    assert paths == set() and "kept: 2 unfinished runs" in notes[0] and "prepare" in notes[0]


@pytest.mark.parametrize("text", [None, "", "{}", "[]"])
def test_a_run_of_unknown_params_stays(params, workspace, text):
    folder = begun(workspace, Identity("train", "other", "other", "code"))
    (folder / "identity.json").unlink()
    if text is not None:
        (folder / "identity.json").write_text(text)
    paths, notes = going(params, workspace)
    assert paths == set() and "cannot be told" in notes[0]


def trials(workspace, *fingerprints, name="lr"):
    path = workspace / ".runs" / "sweeps" / name / "trials.json"
    path.parent.mkdir(parents=True)
    entries = [
        {"number": i, "trial_id": f"t{i}", "values": {}, "status": "unfinished", "fingerprint": f}
        for i, f in enumerate(fingerprints)
    ]
    path.write_text(json.dumps(entries))
    return path


def test_trials_of_a_sweep_stay(params, workspace):
    named = Identity("train", "rate 1", "data", "code")
    noted = Identity("train", "rate 2", "data", "code")
    run, other = begun(workspace, named), begun(workspace, noted)
    assert {run, other} < going(params, workspace)[0]
    want(workspace, "rate 2", who_wants("lr"))  # at its start, before its first rung
    trials(workspace, named.fingerprint, "")
    paths, notes = going(params, workspace)
    assert paths == set() and "kept: 2" in notes[0] and "the sweep lr goes on with it" in notes[0]
    no_longer_wanted(workspace, who_wants("lr"))
    trials(workspace, name="other")
    (workspace / ".runs" / "sweeps" / "lr" / "trials.json").write_text("[]")
    assert {run, other} < going(params, workspace)[0]


@pytest.mark.parametrize("damaged", [False, True])
def test_all_stay_while_the_runs_of_a_sweep_are_not_known(params, workspace, damaged):
    begun(workspace, Identity("train", "other", "data", "code"))
    path = trials(workspace, "")  # begun by an older version, which kept no note at the start
    if damaged:
        path.write_text("[{")
    paths, notes = going(params, workspace)
    assert paths == set() and "perhaps the sweep lr" in notes[0]


def test_seeds_of_a_stopped_replicate_stay(params, workspace, raw):
    second = check_params(with_values(raw, {"seed": 7}))
    identity = stage_identity("train", second)
    assert identity.params == train_params_hash(second) != train_params_hash(params)
    run = begun(workspace, identity)
    assert run in going(params, workspace)[0]
    want(workspace, train_params_hash(second), "python -m pipelines.replicate --seeds 5")
    want(workspace, train_params_hash(second), who_wants("lr"))
    no_longer_wanted(workspace, who_wants("lr"))
    paths, notes = going(params, workspace)
    assert paths == set() and "python -m pipelines.replicate --seeds 5 goes on" in notes[0]
    no_longer_wanted(workspace, "python -m pipelines.replicate --seeds 5")
    assert wanted(workspace) == {} and run in going(params, workspace)[0]


def test_unfinished_references_of_other_data_go_with_locks_that_nobody_needs(params, workspace):
    runs = workspace / ".runs"
    for number, about in enumerate(('{"dataset": "data"}', '{"dataset": "other"}', None)):
        folder = runs / f"reference-{number:016x}"
        folder.mkdir(parents=True)
        folder.with_name(f"{folder.name}.lock").touch()
        if about:
            (folder / "about.json").write_text(about)
    left = [runs / "reference-00000000000000aa.lock", runs / "sweeps" / "gone.lock"]
    kept = [runs / "mlflow.lock", runs / "replicate.lock", runs / "use.lock"]
    (runs / "sweeps" / "here").mkdir(parents=True)
    for path in (*left, *kept, runs / "sweeps" / "here.lock"):
        path.touch()
    other = runs / f"reference-{1:016x}"
    paths, _ = going(params, workspace)
    assert paths == {other, other.with_name(f"{other.name}.lock"), *left}
    assert going(params, workspace, prepared=False)[0] == set(left)


def test_students_stay_with_their_params_and_without_a_teacher(workspace, raw, write_data_set):
    one = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}
    students = {"quick": {"kind": "distribution_matching", "samplers": ["one"]}}
    named = {"sampling": raw["sampling"] | {"one": one}, "students": students, "distil": ["quick"]}
    params = check_params(raw | named)
    write_data_set(workspace, params)
    now = student_identity(params, "quick")
    begun(workspace, Identity("distil-quick", now.params, now.inputs, "edited"))
    other = begun(workspace, Identity("distil-quick", "other", "other", "code"))
    paths, notes = going(params, workspace)
    assert not paths and "no teacher is there" in "".join(notes)
    teacher = workspace / "outputs" / "ema"
    teacher.mkdir(parents=True, exist_ok=True)
    for end in (".safetensors", ".json"):
        (teacher / f"0.1{end}").write_text("weights")
    now = student_identity(params, "quick")
    kept = begun(workspace, Identity("distil-quick", now.params, now.inputs, "edited again"))
    paths, notes = going(params, workspace)
    assert other in paths and kept not in paths
