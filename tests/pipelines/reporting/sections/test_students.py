"""The section of students: who stands beside whom."""

import re
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from pipelines.reporting.report_page import render
from pipelines.reporting.sections.students import students

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("report_inputs.py"))))

PNG = b"picture of "


def measured(name, kid, evaluations, **more):
    length, _, sampler = name.rpartition("-")
    facts = {"item": name, "sampler": sampler, "network_evaluations": evaluations, **more}
    return made.item(
        ema_length=float(length.rpartition("-")[2]), metrics={"kid": {"value": kid}}, **facts
    )


TEACHER = [
    measured("0.1-long", 0.001, 35),
    measured("0.05-short", 0.4, 2),
    measured("0.1-short", 0.3, 2),
    measured("0.1-middle", 0.1, 8),
]
STUDENTS = [
    measured("quick-0.05-one", 0.03, 1, student="quick", teacher_length=0.1),
    measured("quick-0.1-one", 0.02, 1, student="quick", teacher_length=0.1),
    measured("slow-0.1-two", 0.01, 2, student="slow", teacher_length=0.05),
]


def given(**changes):
    everything = [*TEACHER, *STUDENTS]
    return made.inputs(
        TEACHER,
        students=STUDENTS,
        distilled={"students": [{"name": "quick", "kind": "regression"}, {"name": "slow"}]},
        pictures={one.item: {"samples": PNG + one.item.encode()} for one in everything},
        **changes,
    )


def test_students_stand_beside_the_teacher_of_as_few_evaluations():
    text = students(given(), TEACHER[0])
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", text)]
    told = [(row[0], row[1], row[2], row[3], row[4]) for row in rows if row]
    assert told == [
        ("teacher", "–", "0.1", "long", "35"),
        ("quick", "regression", "0.05", "one", "1"),
        ("quick", "regression", "0.1", "one", "1"),
        ("slow", "–", "0.1", "two", "2"),
        ("teacher", "–", "0.1", "short", "2"),  # its best length, and none of 8 evaluations
    ]
    assert "EMA length 0.05, 0.1" in text
    assert "Student quick, EMA length 0.1, sampler “one”, 1 evaluation<" in text
    # of each student its best length
    assert re.findall('alt="samples of ([^"]+)"', text) == [
        "0.1-long",
        "quick-0.1-one",
        "slow-0.1-two",
        "0.1-short",
    ]


def test_there_is_no_section_without_students():
    assert students(made.inputs(TEACHER), TEACHER[0]) == ""
    assert "Students" not in render(made.inputs(TEACHER)) and "<h2>Students</h2>" in render(given())
