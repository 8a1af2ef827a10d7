"""Runs with students: the denoiser is compared as ever, and each student with its namesake."""

from pipelines.comparison.page import draw
from pipelines.comparison.runs import Compared, metric_rows, param_rows
from pipelines.settings.dotted_keys import flatten
from training.students import RegressionConfig

OWN = {"kid": 0.1, "kid_floor": 0.01, "kid_floor_std": 0.02}
STUDENT = {"kid": 0.05, "kid_floor": 0.01, "kid_floor_std": 0.02}


def run(name, **students):
    items = {"0.1-long": OWN} | {
        f"{s}-0.1-one": {**STUDENT, "kid": kid} for s, kid in students.items()
    }
    return Compared(name, name, items=dict(sorted(items.items())))


def test_a_student_is_never_the_best_item():
    one = run("one", quick=0.01)
    assert one.best == "0.1-long" and list(one.own_items) == ["0.1-long"]


def test_students_of_one_name_stand_side_by_side():
    head, rows = metric_rows([run("one", quick=0.05), run("two", quick=0.09, slow=0.3)])
    told = {row[0]: row[1:] for row in rows}
    assert told["item"][:2] == ["0.1-long", "0.1-long"]
    assert told["KID of quick-0.1-one"] == [
        "0.0500",
        "0.0900",
        "0.010 ± 0.020",
        "+0.0400 (+2.0 std)",
    ]
    assert told["KID of slow-0.1-one"][:2] == ["-", "0.300"]
    assert len(head) == len(rows[0]) == len(rows[-1])
    assert draw([run("one", quick=0.05), run("two", slow=0.3)])[:4] == b"\x89PNG"


def test_the_params_of_a_student_that_one_run_has_are_told_without_defaults():
    student = RegressionConfig(samplers=("one",), lr=0.02).model_dump(mode="json")
    own = {f"students.quick.{key}": str(value) for key, value in flatten(student).items()}
    one = Compared("one", "one", params={"distil": "[]"})
    two = Compared("two", "two", params={"distil": '["quick"]'} | own)
    rows = {row[0]: row[1:] for row in param_rows([one, two])}
    assert rows == {
        "distil": ["[]", '["quick"]'],
        "students.quick.kind": ["-", "regression"],
        "students.quick.lr": ["-", "0.02"],
        "students.quick.samplers": ["-", '["one"]'],
    }
    slower = Compared("x", "x", params=two.params | {"students.quick.lr": "0.001"})
    assert param_rows([two, slower]) == [["students.quick.lr", "0.02", "0.001"]]
    assert ["students.quick.lr", "-", "0.02", "0.001"] in param_rows([one, two, slower])
