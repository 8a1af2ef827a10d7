"""What a student's training and its judged items depend on, and what they do not."""

from pathlib import Path

import pytest

from pipelines.params import check_params, load_params
from pipelines.workspace.fingerprint import (
    outcome,
    pipeline_tag,
    stage_identity,
    student_identity,
    student_item_fingerprint,
)
from pipelines.workspace.stage_code import STAGE_PARAMS, stage_files

ROOT = Path(__file__).resolve().parents[3]
ONE = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}
STUDENTS = {
    "a": {"kind": "distribution_matching", "samplers": ["one"]},
    "b": {"kind": "consistency", "samplers": ["one"], "teacher": 0.05},
    "c": {"kind": "regression", "samplers": ["one"]},
}
OTHER = {"sampling": {"other": {"solver": "ddim", "steps": 1}}}
NO_METHOD = {"method": {"denoising"}}


def changed(distil=("a", "b"), sections=None, **students):
    raw = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
    raw["sampling"]["one"] = ONE
    raw["students"] = {name: {**STUDENTS[name], **students.get(name, {})} for name in STUDENTS}
    raw["distil"] = list(distil)
    for section, changes in (sections or {}).items():
        raw[section] = {**raw[section], **changes} if isinstance(changes, dict) else changes
    return check_params(raw)


@pytest.fixture
def teachers(workspace):
    folder = workspace / "outputs" / "ema"
    folder.mkdir(parents=True)
    for length in ("0.05", "0.1"):
        (folder / f"{length}.safetensors").write_text(f"weights of {length}")
        (folder / f"{length}.json").write_text("{}")
    return folder


def now(params):
    return {name: student_identity(params, name).fingerprint for name in ("a", "b", "c")}


def differing(one, other):
    return {name for name in one if one[name] != other[name]}


def test_a_student_depends_on_its_own_settings_and_teacher(teachers):
    before = now(changed())
    for params, touched in (
        (changed(distil=["a", "b", "c"]), set()),
        (changed(distil=[]), set()),
        (changed(a={"lr": 0.5}), {"a"}),
        (changed(a={"samplers": ["one"], "lengths": [0.1, 0.2]}), set()),  # made afterwards
        (changed(b={"ratio": 2.0}), {"b"}),
        (changed(sections={"seed": 1}), {"a", "b", "c"}),
        (changed(sections={"train": {"precision": "bf16"}}), {"a", "b", "c"}),
        (changed(sections={"train": {"lr": 0.5}}), set()),  # of the teacher, whose bytes count
        (changed(sections={"cluster": {"num_workers": 0}}), set()),
        (changed(sections={"evaluation": {"num_images": 65}}), set()),
    ):
        assert differing(before, now(params)) == touched
    (teachers / "0.05.safetensors").write_text("other weights")
    assert differing(before, now(changed())) == {"b"}
    (teachers / "0.1.json").write_text("{ }")
    assert differing(before, now(changed())) == {"a", "b", "c"}


def test_only_the_code_of_its_own_kind_counts(workspace, teachers):
    for file, touched in (
        ("training/methods/consistency.py", {"b"}),
        ("training/methods/regression.py", {"c"}),
        ("training/methods/distribution_matching.py", {"a"}),
        ("training/distillation/rollout.py", {"a"}),
        ("training/students.py", {"a", "b", "c"}),
        ("training/loop.py", {"a", "b", "c"}),
        ("evaluation/judge.py", set()),
    ):
        before = now(changed())
        (workspace / file).open("a").write("# a remark\n")
        assert differing(before, now(changed())) == touched, file


def test_students_and_their_code_change_no_denoiser(workspace, teachers):
    def denoiser(params):
        stages = [s for s in STAGE_PARAMS if s not in ("distil", "evaluate_students", "summarize")]
        return {stage: stage_identity(stage, params).fingerprint for stage in stages}

    before = denoiser(changed(distil=[]))
    assert denoiser(changed(distil=["a", "b", "c"], a={"lr": 0.5})) == before
    of_students = [*Path("training/distillation").glob("*.py"), Path("training/students.py")]
    of_students += [Path(f"training/methods/{n}.py") for n in ("consistency", "distillation")]
    of_students += [*Path("pipelines/students").glob("[a-z]*.py")]
    for path in of_students:
        path.open("a").write("# a remark\n")
        for stage in before:
            assert path not in stage_files(stage, NO_METHOD), f"{path}: {stage}"
    assert denoiser(changed(distil=[])) == before


def test_the_pipeline_is_another_one_with_students_only(workspace, teachers):
    none, some = changed(distil=[]), changed()
    tags = pipeline_tag(none), outcome(none), pipeline_tag(some), outcome(some)
    assert len(set(tags)) == 4
    (workspace / "training/methods/consistency.py").open("a").write("# a remark\n")
    after = pipeline_tag(none), outcome(none), pipeline_tag(some), outcome(some)
    assert [a == b for a, b in zip(tags, after, strict=True)] == [True, True, False, False]


def test_a_judged_item_is_known_by_its_weights_and_its_own_sampler(workspace, teachers):
    params = changed(sections=OTHER)
    folder = Path("outputs/students/a")
    folder.mkdir(parents=True)
    (folder / "0.05.safetensors").write_text("weights")

    def item(params):
        return student_item_fingerprint(params, "a", 0.05, "one")

    before = item(params)
    assert before.endswith("-a-0.05-one")
    for same in (
        changed(distil=["a", "b", "c"]),
        changed(a={"samplers": ["one", "other"]}, sections=OTHER),
        changed(a={"lr": 0.5}),  # the weights are the same
    ):
        assert item(same) == before
    assert item(changed(sections={"evaluation": {"num_images": 65}})) != before
    other = {"sampling": {"one": {**ONE, "sigmas": [80.0, 0.0]}}}
    assert item(changed(sections=other)) != before
    (workspace / "evaluation/judge.py").open("a").write("# a remark\n")
    edited = item(params)
    assert edited != before
    (workspace / "sampling/solvers/ddim.py").open("a").write("# a remark\n")
    assert item(params) == edited, "another sampler's code"
    (folder / "0.05.safetensors").write_text("others")
    assert item(params) != edited
