"""Progress of long stages where there is no terminal."""

import io
import re

import rich.console

from foundation.durations import duration
from pipelines.console.progress import PlainLines, phases, plain_report, progress


def test_plain_lines_are_rare_and_the_last_one_says_done(capsys):
    now = [0.0]
    report = plain_report("features", 100, clock=lambda: now[0])
    for done in range(1, 101):
        now[0] += 1.0
        report(done)
    lines = capsys.readouterr().err.splitlines()
    # The first line comes as soon as the speed is known, the others every 15 seconds.
    assert lines[:2] == ["features: 4/100 (4%), 1:36 left", "features: 19/100 (19%), 1:21 left"]
    assert lines[-1] == "features: 100/100 (100%), 0:00 left"
    assert len(lines) == 8


def test_short_work_prints_nothing(capsys):
    with progress("samples", 3) as report:
        for done in range(4):
            report(done)
    assert capsys.readouterr().err == ""


def test_a_phase_that_is_over_soon_says_nothing_early(capsys):
    now = [0.0]
    report = plain_report("features", 10, clock=lambda: now[0])
    for done in range(1, 11):
        now[0] += 1.0
        report(done)
    assert capsys.readouterr().err == ""


def test_a_total_may_come_late_or_never(capsys):
    now = [0.0]
    report = plain_report("images", None, clock=lambda: now[0])
    now[0] = 20.0
    report(7)
    now[0] = 40.0
    report(10, 20)
    assert capsys.readouterr().err.splitlines() == ["images: 7", "images: 10/20 (50%), 1:07 left"]


def test_duration():
    assert [duration(s) for s in (5, 760, 10921, -3)] == ["0:05", "12:40", "3:02:01", "0:00"]


def test_each_phase_has_its_own_clock(capsys):
    """The second phase begins with a higher count than the first one: 256 of 51,034 images."""
    now = [0.0]
    with phases("reference", clock=lambda: now[0]) as report:
        for step in range(1, 101):  # ten seconds each
            now[0] += 10.0
            report("classifier", step, 100)
        for done in range(256, 51_034 + 256, 256):  # 2,560 images a second
            now[0] += 0.1
            report("features", min(done, 51_034), 51_034)
    lines = capsys.readouterr().err.splitlines()
    second = [line for line in lines if "features" in line]
    # After three seconds: a phase of its own tells early how long it is.
    assert second[0] == "reference: features: 7936/51034 (16%), 0:17 left"
    assert second[-1] == "reference: features: 51034/51034 (100%), 0:00 left"
    assert lines.index(second[0]) == len(lines) - len(second)


def test_a_phase_without_a_line_needs_none_at_its_end(capsys):
    now = [0.0]
    lines = PlainLines(lambda: now[0])
    first = plain_report("first", 2, lambda: now[0], lines)
    now[0] = 20.0
    first(1)
    second = plain_report("second", 1, lambda: now[0], lines)
    second(1)
    first(2)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["first"] * 2


def test_each_phase_is_a_bar_on_a_terminal(monkeypatch):
    screen = io.StringIO()
    console = rich.console.Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr("pipelines.console.terminal.Console", lambda **options: console)
    with phases("reference") as report:
        report("classifier", 3, 3)
        report("features", 2, 9)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).split("\n")[-3:]
    shown = "".join(last)
    assert re.search(r"reference: classifier .* 3/3", shown)
    assert re.search(r"reference: features .* 2/9", shown)
