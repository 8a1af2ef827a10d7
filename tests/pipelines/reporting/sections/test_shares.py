"""The section of shares: wanted ones first, then those of every setting."""

import re
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from pipelines.reporting.sections.shares import MOST, shares

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("report_inputs.py"))))


def entry(wanted, found):
    return {"wanted": wanted, "found": found, "answered": found}


def steered(sampler, sneaker, **more):
    return made.item(
        item=f"0.1-{sampler}",
        sampler=sampler,
        shares={"Sneaker & <co>": entry(0.5, sneaker), "Boot": entry(0.5, 1 - sneaker)},
        **more,
    )


def rows_of(html):
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    return [re.sub(r"<[^>]+>", " ", row).split() for row in rows]


def test_there_is_no_section_without_a_target():
    assert shares(made.inputs(), made.item()) == ""


def test_each_setting_has_a_row_below_the_wanted_shares():
    items = [steered("plain", 0.893), steered("even", 0.512)]
    student = steered("one", 0.7, student="quick", teacher_length=0.1)
    html = shares(made.inputs(items, students=[student]), items[1])
    found = rows_of(html)
    assert found[1] == ["wanted", "50.0%", "50.0%"]
    assert found[2] == ["0.1", "plain", "89.3%", "10.7%"]
    assert found[3] == ["0.1", "even", "51.2%", "48.8%"]
    assert found[4] == ["0.1", "quick,", "one", "70.0%", "30.0%"]
    assert "Sneaker &amp; &lt;co&gt;" in html


def test_of_many_classes_those_furthest_off_are_shown():
    many = {f"c{number}": entry(0.05, 0.05 + number / 1000) for number in range(20)}
    one = made.item(shares=many)
    html = shares(made.inputs([one]), one)
    shown = rows_of(html)[0][3:]
    assert shown == [f"c{number}" for number in range(20 - MOST, 20)]
    assert f"{20 - MOST} further classes" in html
