"""Students in params: what does not fit is told with its path and mend."""

from pathlib import Path

import pytest

from pipelines.params import check_params, load_params
from pipelines.settings.yaml_file import ParamsError
from training.run_settings import RunSettings
from training.students import STUDENTS

ROOT = Path(__file__).resolve().parents[3]
SAMPLING = {
    "one": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]},
    "two": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0, 2.5]},
    "guided": {"steps": 1, "guidance": [{"kind": "classifier_free", "weight": 2.0}]},
    "long": {"solver": "heun", "steps": 18},
}
MATCHED = {"kind": "distribution_matching", "samplers": ["one"]}


def with_students(distil=("a",), change=(), **students):
    raw = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
    raw["sampling"] |= SAMPLING
    raw |= {"students": students, "distil": list(distil)}
    for section, changes in dict(change).items():
        raw[section] = {**raw[section], **changes}
    return check_params(raw)


def test_settings_of_a_student_are_its_own_and_the_rest_the_teachers():
    params = with_students(
        a={**MATCHED, "total_kimg": 2, "batch_size": 64, "lr": 0.002, "snapshots": 3},
        change={"train": {"precision": "bf16", "horizontal_flip": True}, "ema": {"snapshots": 5}},
    )
    found = params.student_settings("a", "teacher.safetensors")
    assert (found.seed, found.noise) == (params.seed, params.noise)
    assert found.train.method == "distribution_matching" and found.total_nimg == 2048
    assert (found.train.lr, found.train.batch_size) == (0.002, 64)
    assert (found.train.precision, found.train.horizontal_flip) == ("bf16", True)
    assert found.train.init_from is None
    assert found.structure.kind == "none" != params.structure.kind
    assert params.model.label_dropout > 0 == found.model.label_dropout
    assert (found.ema.tracked, found.ema.snapshots) == (params.ema.tracked, 3)
    assert found.teacher == "teacher.safetensors" and found.student == params.students["a"]
    assert RunSettings.model_validate_json(found.model_dump_json()) == found


def test_a_student_may_play_a_game_whatever_adapter_the_denoiser_has():
    game = {"kind": "graph", "every": 5}
    params = with_students(a={**MATCHED, "structure": game}, change={"model": {"adapter_rank": 4}})
    assert params.student_settings("a").structure.kind == "graph"


@pytest.mark.parametrize(
    ("students", "told"),
    [
        ({"distil": ["b"], "a": MATCHED}, r"distil: 'b' is not a name under students \(known: a\)"),
        ({"distil": ["match"], "matched": MATCHED}, "did you mean 'matched'"),
        ({"distil": ["b"]}, "distil: 'b' is not .* describe it there"),
        ({"distil": ["a", "a"], "a": MATCHED}, "distil: a name is listed twice"),
        ({"distil": [], "a-b": MATCHED}, r"students.a-b: .* letters, digits and _ only"),
        ({"distil": [], "1": MATCHED}, "students.1: a student's name begins with a letter"),
        ({"a": {**MATCHED, "teacher": 0.11}}, r"students.a.teacher: 0.11 is not made: add it to"),
        ({"a": {**MATCHED, "lengths": [0.1, 0.1]}}, "students.a.lengths: 0.1 is listed twice"),
        ({"a": {**MATCHED, "samplers": ["on"]}}, "students.a.samplers: 'on' .* mean 'one'"),
        ({"a": {**MATCHED, "samplers": ["one", "one"]}}, "students.a.samplers: a name is listed"),
        (
            {"a": {**MATCHED, "samplers": ["two"]}},
            "sampling.two.sigmas, which students.a.samplers names: 2 evaluations, .* at most 1",
        ),
        ({"a": {**MATCHED, "samplers": ["guided"]}}, "sampling.guided.guidance, .* leave it out"),
        ({"a": {**MATCHED, "samplers": ["long"]}}, "sampling.long.solver, .* use solver consist"),
        ({"a": {**MATCHED, "start": [80.0, 2.0], "samplers": ["two"]}}, r"trained at \[80, 2\]"),
        ({"a": {**MATCHED, "batch_size": 33}}, "students.a.batch_size: 33 .* use 32 or 34"),
        ({"a": {**MATCHED, "total_kimg": 0.5}}, "students.a.snapshots: 8 snapshots do not fit"),
        (
            {"a": {**MATCHED, "structure": {"kind": "graph", "batch_size": 33, "every": 5}}},
            "students.a.structure.batch_size: 33 is not",
        ),
        (
            {"a": {**MATCHED, "structure": {"kind": "graph", "sigma_min": 9.0, "every": 5}}},
            "students.a.structure.sigma_min 9 is above",
        ),
        (
            {"a": {**MATCHED, "structure": {"features": "efficientnet_lite0", "every": 5}}},
            "students.a.structure.features: efficientnet_lite0 may be what",
        ),
        (
            {"distil": [], "change": {"train": {"method": "consistency"}}},
            "train.method: consistency trains a student .* `students`",
        ),
        ({"a": {**MATCHED, "kind": "consistencie"}}, "students.a.kind: .* mean 'consistency'"),
        ({"a": {"kind": "consistency", "samplers": ["one"], "ratio": 0.5}}, "students.a.ratio: 0."),
        ({"a": {"kind": "consistency", "samplers": ["one"], "pairs": 3}}, "students.a.pairs: 3: "),
        ({"a": {"kind": "consistency"}}, "students.a.samplers: it is missing"),
    ],
)
def test_what_does_not_fit_is_one_line(students, told):
    with pytest.raises(ParamsError, match=told) as caught:
        with_students(**students)
    assert "1 problem" in str(caught.value), caught.value


def test_pairs_are_not_drawn_on_a_grid_that_every_worker_would_search():
    for kind in ({"kind": "regression"}, {"kind": "distribution_matching", "regression": 1.0}):
        config = STUDENTS[kind["kind"]]
        with pytest.raises(ValueError, match="grid fitted finds its levels where images are"):
            config(**kind, samplers=("one",), sampler={"grid": "fitted"})
