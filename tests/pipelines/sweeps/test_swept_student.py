"""A sweep whose keys are a student's: what it trains and refuses, and of which teacher."""

import json
from pathlib import Path

import pytest

from pipelines import sweep as command
from pipelines.checkup import run_so_far
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import ParamsError, read_yaml
from pipelines.sweeps import trial
from pipelines.sweeps.announcement import images_spent
from pipelines.sweeps.record import Trial
from pipelines.sweeps.space import Sweep, SweepConfig
from pipelines.sweeps.swept_student import check_teachers
from pipelines.sweeps.trial import TrialTask
from pipelines.workspace.fingerprint import student_identity
from pipelines.workspace.paths import EMA
from training.events import SnapshotSaved

ROOT = Path(__file__).resolve().parents[3]
RAW = read_yaml(ROOT / "presets" / "fashion_mnist_distil.yaml")
LR = {"loguniform": [0.0001, 0.01]}
SHORT = {"students.matched.lr": LR, "students.matched.total_kimg": 36}


def sweep(space, raw=RAW, **settings):
    config = {"name": "s", "trials": 2, "reduction": 2, "space": space, **settings}
    return Sweep(SweepConfig.model_validate(config), raw)


def test_keys_of_one_student_train_that_student():
    made = sweep(SHORT)
    assert made.student == "matched" and made.sampler == "one"
    settings = made.settings(made.base, "teacher.safetensors")
    assert settings.train.method == "distribution_matching"
    assert settings.teacher == "teacher.safetensors"
    assert made.total_nimg == settings.total_nimg == 36_000
    assert made.rungs == (9_000, 18_000), "of the student's length, not of the denoiser's"
    trials = [Trial(number=0, trial_id="t", values=made.values({"students.matched.lr": 0.001}))]
    assert images_spent(made, trials) == (0, 36_000)
    assert made.teachers == [EMA / "0.1.safetensors"]
    assert sweep({"train.lr": LR}).student is None and sweep({"train.lr": LR}).teachers == []


@pytest.mark.parametrize(
    ("space", "settings", "told"),
    [
        (
            {**SHORT, "train.lr": LR},
            {},
            "students.matched.lr is of a student and train.lr is not: a sweep trains either",
        ),
        (
            {**SHORT, "students.consistent.lr": LR},
            {},
            "keys of the students matched and consistent: a sweep trains one student",
        ),
        ({"students.matchd.lr": LR}, {}, "'matchd' is not a name under students: did you mean"),
        ({"students.matched.lrr": LR}, {}, "students.matched.lrr: unknown key"),
        (
            {"students.matched.samplers": {"choice": [["one"], ["two"]]}},
            {},
            "students.matched.samplers changes nothing that a trial's training",
        ),
        (SHORT, {"metric": "held_out/loss"}, "metric: no trial reports 'held_out/loss'"),
        (SHORT, {"evaluation": {"sampler": "two"}}, "two is not among students.matched.samplers"),
    ],
)
def test_what_no_trial_could_train_or_measure_is_one_line(space, settings, told):
    with pytest.raises(ParamsError) as caught:
        sweep(space, **settings)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_student_that_the_pipeline_does_not_train_is_refused():
    with pytest.raises(ParamsError, match="distil does not list matched"):
        sweep(SHORT, with_values(RAW, {"distil": ["consistent"]}))


def test_a_trial_trains_where_the_stage_distil_looks(workspace, monkeypatch):
    """With the weights in outputs/ema as its teacher, and with its rungs judged."""
    made = sweep(SHORT, workers=0)
    teacher = workspace / EMA / "0.1.safetensors"
    teacher.parent.mkdir(parents=True)
    with pytest.raises(ValueError, match="a teacher of the trials, is missing: dvc repro reconst"):
        check_teachers(made.teachers)
    teacher.write_bytes(b"weights")
    teacher.with_suffix(".json").write_text("{}")
    check_teachers(made.teachers)
    (workspace / "outputs" / "reference").mkdir()
    (workspace / "outputs" / "reference" / "reference.json").write_text("{}")
    evaluation = command.quick_evaluation(made)
    assert not evaluation.held_out_loss
    task = TrialTask(
        str(workspace), str(workspace), made.config.model_dump_json(), made.raw, evaluation
    )
    seen, told = [], []

    def train(settings, dataset, folder, world, report):
        seen.append((settings, folder))
        report(SnapshotSaved(36_000, str(folder / "snapshots" / "x"), {"nimg": 36_000}))

    monkeypatch.setattr("training.loop.train", train)
    monkeypatch.setattr(trial, "open_dataset", lambda folder, latents: None)
    monkeypatch.setattr(trial.RungJudge, "__call__", lambda self, event: event)
    monkeypatch.setattr("ray.tune.report", told.append)
    trial.run_trial({"students.matched.lr": 0.002}, task)
    ((settings, folder),) = seen
    values = {"students.matched.lr": 0.002, "students.matched.total_kimg": 36}
    params = command.Sweep(made.config, with_values(RAW, values)).params({})
    assert folder == student_identity(params, "matched").folder(workspace)
    assert folder.name.startswith("distil-matched-") and settings.student.lr == 0.002
    assert settings.teacher == str(teacher) and settings.pairs_cache
    assert told[0]["nimg"] == 36_000 and (folder / "identity.json").is_file()
    notes = list((workspace / ".runs" / "wanted").iterdir())
    identity = json.loads((folder / "identity.json").read_text())
    assert [note.name.partition("-")[0] for note in notes] == [identity["params"]]


def test_another_teacher_is_another_sweep_and_an_old_one_is_pointed_out(workspace):
    made = sweep(SHORT)
    teacher = workspace / EMA / "0.1.safetensors"
    teacher.parent.mkdir(parents=True)
    facts = []
    for content in (b"one", b"two"):
        teacher.write_bytes(content)
        facts.append(command.sweep_facts(made))
    assert facts[0]["teachers"] != facts[1]["teachers"]
    assert replace_teachers(facts[0]) == replace_teachers(facts[1])
    assert "teachers" not in command.sweep_facts(sweep({"train.lr": LR}))
    note = run_so_far.teacher_note(made.base)
    assert note is not None and "dvc repro reconstruct" in note


def replace_teachers(facts):
    return facts | {"teachers": None}
